"""The terms of the Chinese texts: one for each idea, as textbooks have it."""

import re

SAY_INSTEAD = {
    "(?<!Jupyter )笔记本": "Jupyter 笔记本: alone it is a laptop",
    "余切(?!向量)": "余切向量 or 上游梯度: alone it is the cotangent of an angle",
    r"比\w*更新": "在……之后产生: 更新 reads as an update",
    "周期|回合|时期": "轮次, an epoch",
    "正确率": "准确率, the accuracy",
    "重现": "复现, to reproduce",
    "留出|验证数据": "验证集, held-out data",
    "[逆反]向(?:传递|传输|扩散)|逆向传播": "反向传播, backpropagation",
    "(?:链|连锁|链锁)(?:法|规)则": "链式法则, the chain rule",
    "[运演]算图|计算流图": "计算图, the computational graph",
    "(?:成本|费用)函数": "代价函数, a cost",
    "正规化|规格化|规则化": "正则化, regularisation",
    "原料": "输入, inputs",
    "互熵|交差熵": "交叉熵, cross-entropy",
    r"[一-鿿][,;:?!]|\([一-鿿]": "，；：？！（）",
}


def badly_said(text: str) -> dict[str, str]:
    """Map what a text calls otherwise than the others do to what to say instead."""
    return {
        found: instead
        for term, instead in SAY_INSTEAD.items()
        for found in re.findall(term, text)
    }
