"""Bring the catalogues of messages up to date, and compile them.

``python tests/messages.py`` does so for all languages. Then write what is missing into
the .po files, and run it again. ``python tests/messages.py fr`` begins another one.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import tinygrad_edu
from tinygrad_edu.exercising.listing import DECLARED
from tinygrad_edu.explaining.stepper import MARKED
from tinygrad_edu.support import language

PACKAGE = Path(tinygrad_edu.__file__).parent


def marked(file, *_, options):
    """Yield the messages of the page's file, as Babel's own functions do."""
    for found in MARKED.findall(file.read().decode()):
        yield 0, "_", " ".join(found.split()), []


# What is extracted: from files of which ending, read as what, from the arguments of
# which functions, and the context in which it is put.
SOURCES = [
    ("py", "python", {"say": None, "say_also": None}, None),
    ("js", "javascript", {"_": None}, "page"),
    ("html", marked, {"_": None}, "page"),
]


def extracted():
    """Return all messages: those of the code, of the page, and of the exercises."""
    messages = Catalog()
    for ending, kind, functions, context in SOURCES:
        for path in sorted(PACKAGE.rglob(f"*.{ending}")):
            place = path.relative_to(PACKAGE.parent).as_posix()
            for _, text, *_ in extract_from_file(kind, path, functions):
                messages.add(text, locations=[(place, None)], context=context)
    for name, declaration in DECLARED.items():
        for text in declaration.texts():
            messages.add(text, auto_comments=[f"exercise {name}"])
    return messages


def path_of(lang):
    """Return the path of a language's .po file."""
    return language.LOCALE / lang / "LC_MESSAGES" / "tinygrad_edu.po"


def read(path):
    """Return the catalogue that a .po file has."""
    with open(path, "rb") as file:
        return read_po(file)


def bring_up_to_date(path):
    """Add what is new, drop what is not used, compile; return what is untranslated."""
    lang = path.parts[-3]
    if path.exists():
        catalogue = read(path)
    else:
        path.parent.mkdir(parents=True)
        catalogue = Catalog(lang, header_comment=f"# {lang}", fuzzy=False)
    messages = extracted()
    messages.creation_date = catalogue.creation_date  # else each run changes the file
    catalogue.update(messages, no_fuzzy_matching=True, update_header_comment=False)
    with open(path, "wb") as file:
        write_po(file, catalogue, width=88, ignore_obsolete=True, include_lineno=False)
    with open(path.with_suffix(".mo"), "wb") as file:
        write_mo(file, catalogue)
    return [message.id for message in catalogue if message.id and not message.string]


if __name__ == "__main__":
    for lang in sys.argv[1:] or language.languages()[1:]:
        print(f"{lang}: to translate: {len(bring_up_to_date(path_of(lang)))}")
