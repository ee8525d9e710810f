"""Typical mistakes. Type checkers find them; each raises when the program runs.

A line with a mistake ends with ``# wrong``, or ``# wrong, unseen``: see the line above.
"""

import math

import numpy as np

import tinygrad_edu as tg

ones = np.ones((2, 3))
x = tg.Tensor(ones, requires_grad=True)
loss = (x * x).sum()
model = tg.nn.MLP([3, 1], rng=0)
targets = np.zeros((2, 1))


def square(t: tg.Tensor) -> tg.Tensor:
    return t * t


def misspelt_method() -> object:
    return x.smu()  # wrong


def misspelt_function() -> object:
    return tg.sigmod(x)  # wrong


def misspelt_layer() -> object:
    return tg.nn.Sigmod()  # wrong


def layer_that_is_not_at_the_front_door() -> object:
    return tg.Sigmoid()  # wrong


def misspelt_keyword_of_a_tensor() -> object:
    return tg.Tensor(1.0, require_grad=True)  # wrong


def misspelt_axis() -> object:
    return x.sum(axes=0)  # wrong


def axis_as_another_library_calls_it() -> object:
    return tg.softmax(x, dim=-1)  # wrong


def keepdims_as_another_library_calls_it() -> object:
    return x.max(axis=0, keepdim=True)  # wrong


def axis_by_name() -> object:
    return x.mean(axis="rows")  # wrong


def shape_that_is_missing() -> object:
    return tg.reshape(x)  # wrong


def branch_that_is_missing() -> object:
    return tg.where(x > 0, x)  # wrong


def string_in_the_place_of_a_tensor() -> object:
    return tg.exp("1.0")  # wrong


def tensors_that_are_not_in_a_list() -> object:
    return tg.concatenate(x, x)  # wrong


def none_in_the_place_of_a_tensor() -> object:
    return x * None  # wrong


def property_called_as_a_method() -> object:
    return x.shape()  # wrong


def method_that_is_not_called() -> object:
    return loss.item + 1  # wrong


def written_to() -> None:
    x[0] = 1.0  # wrong


def gradient_by_name() -> None:
    loss.backward("x")  # wrong


def gradient_taken_from_backward() -> object:
    return loss.backward().grad  # wrong


def gradient_that_is_not_there_yet() -> object:
    # It is None before `backward`. To say so would flag right programs as well.
    return tg.Tensor(1.0, requires_grad=True).grad + 1  # wrong, unseen


def sizes_that_are_strings() -> object:
    return tg.nn.Linear("3", 4)  # wrong


def sizes_that_are_not_in_a_list() -> object:
    return tg.nn.MLP(2, 3, 1)  # wrong


def parameters_that_are_not_called() -> object:
    return tg.optim.SGD(model.parameters, lr=0.1)  # wrong


def misspelt_learning_rate() -> object:
    return tg.optim.Adam(model.parameters(), learning_rate=0.1)  # wrong


def target_that_is_missing() -> object:
    return tg.losses.mse(model(x))  # wrong


def misspelt_method_of_a_loss() -> None:
    tg.losses.mse(model(x), targets).bakward()  # wrong


def loss_in_the_place_of_a_function() -> object:
    return tg.grad(loss)  # wrong


def pair_taken_for_one() -> object:
    return tg.value_and_grad(square)(2.0).item()  # wrong


def misspelt_epochs() -> None:
    optimiser = tg.optim.SGD(model.parameters(), lr=0.1)
    tg.train.fit(model, tg.losses.mse, optimiser, (ones, targets), epoch=1)  # wrong


def context_that_is_not_called() -> None:
    with tg.no_grad:  # wrong
        pass


def names_that_come_alone() -> None:
    for _, parameter in model.named_parameters():
        parameter.zero_grad()  # wrong


def many_numbers_in_the_place_of_one() -> object:
    # A Tensor's type says nothing of its shape.
    return math.sqrt(x)  # wrong, unseen
