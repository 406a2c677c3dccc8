"""Do the numbers of a report's first screen stand below it, too, and how long is it, read aloud?

Numbers are read from an executed notebook alone, the length from its page.
"""

import html
import json
import math
import re

from workbench import messages
from workbench.reports.page import tables
from workbench.reports.page.html import QUANTITIES
from workbench.reports.page.said import answer_of

NUMBER = re.compile(r"(?<![\w.])([−+-]?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(%?)(?![\w-])")
DAY = re.compile(r"\d{4}-\d\d(-\d\d)?(?!\d)")
LEVEL = re.compile(r"\d\d% (?:interval|power|level)|at 95%|FDR|false discovery rate of \d+%|at most \d+% of such looks")


LONGEST = {"en": 90, "zh": 160}
"""Words and characters of a first screen, its picture apart."""
UNITS = r"(?<=\d) (?:yuan|points)\b"
PARTS = (r"<h1>(.*?)</h1>", r'<p class="lead">(.*?)</p>', r"<dt>(.*?)</dt>", r"<dd>(.*?)</dd>", r"<li>(.*?)</li>")
SAID = {"en": r"\S*\w\S*", "zh": r"[\u3400-\u9fff]|[\dA-Za-z][\dA-Za-z.,%-]*"}


def first_page(page):
    """Give the texts of a page's first screen: question, answer, key figures, decision; no picture, nothing folded."""
    start = page.index("<main")
    front = re.sub(r"<(svg|pre|details)\b.*?</\1>", "", page[start : page.index("</section>", start)], flags=re.DOTALL)
    found = [text for part in PARTS for text in re.findall(part, front if "h1" not in part else page, re.DOTALL)]
    return [html.unescape(re.sub(r"<[^>]+>", "", text)) for text in found]


def length(page, language):
    """Count the words of a first screen, in Chinese its characters; a number with its unit is one, a mark none."""
    texts = [re.sub(UNITS, "", text) for text in first_page(page)]
    return sum(len(re.findall(SAID[language], text)) for text in texts)


def first_screen(notebook):
    """Give the texts of the first screen: the answer's first sentence, its key figures, the decision."""
    found = []
    for output in _outputs(notebook):
        ours = output["metadata"]["workbench"]
        if ours.get("kind") == "answer":
            said = answer_of(output)
            found += [said.lead, *(f"{t['label']}: {t['value']} {t.get('interval', '')}" for t in said.tiles)]
        elif ours.get("kind") == "decision":
            found += [messages.read(sentence).said() for sentence in ours["sentences"]]
    return found


def numbers(text):
    """Give the numbers of a text with their decimals and whether they are per cent; no days, no levels of intervals."""
    text = LEVEL.sub("", DAY.sub("", text))
    return [
        (
            float(f"{'-' if sign in '−-' and sign else ''}{whole.replace(',', '')}{part or ''}"),
            len(part or ".") - 1,
            per,
        )
        for sign, whole, part, per in NUMBER.findall(text)
    ]


def below(notebook):
    """Give every number that tables, recorded numbers, captions and sentences below the first screen hold."""
    known, texts = set(), []
    for output in _outputs(notebook):
        ours, data = output["metadata"]["workbench"], output["data"]
        if tables.MIME in data:
            for row in data[tables.MIME]["rows"]:
                known |= {float(v) for v in row if isinstance(v, (int, float)) and math.isfinite(v)}
                texts += [v for v in row if isinstance(v, str)]
            for column in zip(*data[tables.MIME]["rows"], strict=True):  # totals
                known.add(math.fsum(v for v in column if isinstance(v, (int, float)) and math.isfinite(v)))
            texts.append(data[tables.MIME]["caption"])
        elif QUANTITIES in data:
            known |= {float(q[k]) for q in data[QUANTITIES] for k in ("value", "low", "high") if q[k] is not None}
        elif ours.get("kind") == "answer":
            texts += answer_of(output).more
        elif ours.get("kind") in ("said", "list", "caption"):
            texts.append("".join(data["text/plain"]))
    parameters = [c["source"] for c in notebook["cells"] if "parameters" in str(c["metadata"].get("tags", ""))]
    return known, texts + ["".join(source) for source in parameters]


def nowhere_below(notebook, change=1.0):
    """Give the numbers of the first screen (times `change`) that no number below rounds to, with their sentence."""
    known, texts = below(notebook)
    told = {abs(value) for text in texts for value, _, _ in numbers(text)}
    lost = []
    for text in first_screen(notebook):
        found = [(round(value * change, digits), digits, per) for value, digits, per in numbers(text)]
        for value, digits, per in found:
            wholes = [100.0] if per else [w for w, _, p in found if not p and w > value]
            rests = {abs(value), *(whole - value for whole in wholes)}  # or what is left of a whole the sentence names
            half = 0.5 * 10.0**-digits * (1 + 1e-9) + 1e-9
            if not told & rests and not any(_rounds(k, per, rest, half) for k in known for rest in rests):
                lost.append((value, text))
    return lost


def _rounds(known, per, value, half):
    """Whether a number below is the one above: as it is, or a share as per cent or per hundred."""
    as_it_is = not per or known != int(known)  # a whole number is no percentage
    return (as_it_is and abs(abs(known) - value) <= half) or (
        abs(known) <= 10 and abs(100 * abs(known) - value) <= half
    )


def _outputs(notebook):
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "data" in output:
                output.setdefault("metadata", {}).setdefault("workbench", {})
                yield output


def read(path):
    """Read an executed notebook."""
    return json.loads(path.read_text("utf-8"))
