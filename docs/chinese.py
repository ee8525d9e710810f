"""The pages in Chinese: a sidebar and buttons of their own, and words to search for."""

import re
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

CAPTION = "简体中文"  # of the pages in Chinese, in the front page's table of contents
WORDS = {
    "Back to top": "回到顶部",
    "Download all exercises as a Jupyter notebook": "把全部练习下载为 Jupyter 笔记本",
    "Download this page as a Jupyter notebook": "把本页下载为 Jupyter 笔记本",
    "Exercises": "练习",
    "Home": "首页",
    "Next": "下一页",
    "Notebook": "Jupyter 笔记本",
    "On this page": "本页内容",
    "Previous": "上一页",
    "Search": "搜索",
    "Skip to content": "跳到正文",
}


def speak(app: Sphinx, page: str, _: str, context: dict[str, Any], __: Any) -> None:
    """Show a page in its language: buttons, sidebar, and the shapes of the signs."""
    is_chinese = page.endswith(".zh-CN")
    if is_chinese:
        context["language"] = "zh-CN"  # else browsers take Japanese forms of the signs
        context["_"] = context["gettext"] = lambda text: WORDS.get(text.strip(), text)
    tree = BeautifulSoup(context.get("furo_navigation_tree", ""), "html.parser")
    for caption in tree.select("p.caption"):
        if (caption.get_text() == CAPTION) != is_chinese:
            pages = caption.find_next_sibling("ul")
            if is_chinese:
                caption.extract()
                pages.extract()
            else:
                # One link, to the page that the others begin with.
                for below in pages.select("ul, input, label, :scope > li ~ li"):
                    below.extract()
    context["furo_navigation_tree"] = str(tree)


class Search(SearchEnglish):
    """Finds English by words, and Chinese by pairs of signs.

    Chinese has no spaces between words. All pairs of neighbours are in the index, and
    of a query too, so whatever stands on a page is found.
    """

    js_splitter_code = """
function splitQuery(query) {
  const words = query.split(/[^\\p{Letter}\\p{Number}_\\p{Emoji_Presentation}]+/gu);
  return words.flatMap((word) =>
    (word.match(/\\p{Script=Han}+|\\P{Script=Han}+/gu) || []).flatMap((part) => {
      if (part.length < 3 || !/\\p{Script=Han}/u.test(part)) return [part];
      return [...part].slice(1).map((sign, i) => [...part][i] + sign);
    }),
  );
}
"""

    def split(self, input: str) -> list[str]:
        words = super().split(re.sub("[\u4e00-\u9fff]+", " ", input))
        for run in re.findall("[\u4e00-\u9fff]+", input):
            words += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
        return words


def setup(app: Sphinx) -> None:
    app.add_search_language(Search)
    app.connect("html-page-context", speak, priority=900)  # after the theme
