"""Words as the network reads them: their normal forms, and their classes for finding sentences.

A pipeline meets text that was typed, pasted, printed and converted. What cannot be seen, and how
a quotation mark is drawn, does not change what a word means, so features are made of its normal
form. The Doc keeps its text and its offsets.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.lexeme import Lexeme
from spacy.pipeline import Sentencizer
from spacy.strings import get_string_id
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..kernels import Case, RowIndex, WordClass
from .characters import is_invisible, plain
from .truecase import case_of, with_case

# Maximum number of words whose properties are cached.
_CACHE_SIZE = 100_000

_TERMINATORS = frozenset(Sentencizer.default_punct_chars)
_ENDS = _TERMINATORS | {"…"}
_OPENING = frozenset("([{<«‘“„‚‹¿¡")
_BULLETS = frozenset("*+-•‣⁃▪▫●○◦·∙►▸➢➤✓✔→–—")
#: Marks of formatting that are glued to words, or stand alone.
MARKUP = "*_~`#=^@™®©•‣⁃▪▫●○◦∙►▸➢➤"
_ABBREVIATED = re.compile(r"[^\W\d_].+\.")
_ABBREVIATION = re.compile(r"[^\W\d_]{2,}\.")
_RULE = re.compile(r"[-=_*~+|:]{3,}|\|+")
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*/?>|&nbsp;")
_BLOCK = re.compile(
    r"</?(?:address|article|aside|blockquote|body|br|caption|center|d[dlt]|div|fig(?:ure|caption)"
    r"|footer|form|h[1-6r]|head|header|html|li|main|nav|ol|option|p|pre|section|summary|table|t[dhr]"
    r"|tbody|tfoot|thead|title|ul)/?>",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:\d{1,3}|[a-zA-Z]|[ivx]{2,5}|[IVX]{2,5})")
_LETTER_AND_STOP = re.compile(r"(?:[a-z]|[ivx]{2,5}|\d{1,3})[.)]")
_TIME = re.compile(r"\d{1,2}(?::\d\d){1,2}")
# Files that were converted twice end lines with "\r\r\n", and a new page begins at a new line.
_LINE_BREAK = re.compile("\x0c?(?:\r+\n|\n\r(?!\n)|[\n\r\x0b\x1c-\x1e\x85\u2028\u2029])\x0c?|\x0c")


@cache
def _markup(kept: str) -> str:
    return "".join(mark for mark in MARKUP if mark not in kept)


def normal_form(word: str, kept: str = "") -> str:
    """Return a word in plain characters, without the marks of formatting around it.

    Dashes of any length are ``-``, and doubled single quotes are ``"``.

    :param kept: the marks that are part of words.
    """
    form = plain(word)
    if form.isalnum():
        return form
    form = form.strip(_markup(kept)) or form
    if not form.strip("-"):
        return "-"
    return '"' if form in ("''", "``") else form


class Words:
    """The classes and normal forms of the words of Docs, cached by word.

    :param normalize: whether to normalize words, and to recognize markup, list items and
        abbreviations. If not, only blanks and the punctuation that ends sentences have classes.
    """

    def __init__(self, normalize: bool) -> None:
        self.normalize = normalize
        self._lock = threading.Lock()
        self._vocab: Vocab | None = None
        self._kept = ""
        # The hash of a word is two numbers of 32 bits.
        self._index = RowIndex(2)
        self._classes = np.empty(1024, np.uint32)
        self._cases = np.zeros(1024, np.uint8)
        self._forms = np.empty(1024, np.uint64)

    def __reduce__(self) -> tuple[type[Words], tuple[bool]]:
        return type(self), (self.normalize,)

    def __deepcopy__(self, memo: dict) -> Words:
        return type(self)(self.normalize)

    def __call__(
        self, orths: NDArray[np.uint64], docs: Sequence[Doc], kept: str = ""
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint64]]:
        """Look up all words.

        :param orths: the words' hashes. *Shape:* ``(n_tokens,)``
        :param docs: the Docs that contain the words.
        :param kept: the marks of formatting that are part of words.
        :return: the words' classes, cases, and hashes. If words are normalized, the hashes are of
            normal forms, by `truecase.with_case`. Otherwise the case is NONE, and the hashes are
            those of the words. *Shapes:* ``(n_tokens,)``
        """
        with self._lock:
            try:
                vocab = docs[0].vocab if docs else self._vocab
                # Another language has other stop words and numbers.
                is_changed = vocab is not self._vocab or kept != self._kept
                if len(self._index) > _CACHE_SIZE or is_changed:
                    self._index.clear()
                    self._vocab, self._kept = vocab, kept
                n_known = len(self._index)
                numbers, new = self._index.add(orths.view(np.int32).reshape(-1, 2))
                if new:
                    self._learn(orths[new], docs, n_known)
                forms = self._forms.take(numbers) if self.normalize else orths
                return self._classes.take(numbers), self._cases.take(numbers), forms
            except BaseException:
                self._index.clear()  # The index may contain words without classes.
                raise

    def _learn(self, orths: NDArray[np.uint64], docs: Sequence[Doc], n_known: int) -> None:
        while len(self._classes) < len(self._index):
            self._classes = np.concatenate([self._classes, np.empty_like(self._classes)])
            self._cases = np.concatenate([self._cases, np.zeros_like(self._cases)])
            self._forms = np.concatenate([self._forms, np.empty_like(self._forms)])
        vocabs = list({id(doc.vocab): doc.vocab for doc in docs}.values())
        lexemes = [
            (vocabs[0] if len(vocabs) == 1 else _vocab_with(orth, vocabs))[orth]
            for orth in orths.tolist()
        ]
        new = slice(n_known, len(self._index))
        self._classes[new] = [classify(one, self.normalize, self._kept) for one in lexemes]
        if self.normalize:
            forms = [normal_form(lexeme.orth_, self._kept) for lexeme in lexemes]
            cases = list(map(case_of, forms))
            keys = [
                get_string_id(form if case == Case.MIXED else form.lower())
                for form, case in zip(forms, cases, strict=True)
            ]
            self._cases[new] = cases
            self._forms[new] = with_case(np.array(keys, np.uint64), self._cases[new])


def _vocab_with(orth: Any, vocabs: Sequence[Vocab]) -> Vocab:
    return next((vocab for vocab in vocabs if orth in vocab.strings), vocabs[0])


def classify(lexeme: Lexeme, normalize: bool, kept: str = "") -> int:
    """Return the `WordClass` of a word, with the marks of formatting that are part of words."""
    word = lexeme.orth_
    is_letters = word.isascii() and word.isalpha()
    if not is_letters and is_invisible(word):
        n_breaks = len(_LINE_BREAK.findall(word)) + word.count("\u2029")
        return WordClass.BLANK | (0, WordClass.NEWLINE, WordClass.EMPTY_LINE)[min(n_breaks, 2)]
    found = WordClass.LOWER if lexeme.is_lower else 0
    if not is_letters and lexeme.is_punct:
        if word == '"':
            found |= WordClass.QUOTE
        elif word not in _OPENING and not (normalize and word == "»"):
            found |= WordClass.CLOSING
        if word in _TERMINATORS:
            found |= WordClass.TERMINATOR
    return found | _further_classes(word, lexeme, _markup(kept)) if normalize else found


def _further_classes(word: str, lexeme: Lexeme, markup: str) -> int:
    form = plain(word)
    found = WordClass.NUMBER if len(form) <= 5 and _NUMBER.fullmatch(form) else 0
    if form.isalpha():
        if form[0].isupper():
            found |= WordClass.CAPITAL
            if form.lower() in titles():
                found |= WordClass.TITLE
            if lexeme.is_stop and not lexeme.like_num:
                found |= WordClass.STARTER
        return found
    # "Lt.-Col" is a title too.
    if form[:1].isupper() and re.split("[.-]", form)[-1].lower() in titles():
        found |= WordClass.TITLE
    if lexeme.is_punct and _ENDS.issuperset(word):
        found |= WordClass.TERMINATOR
    if _LETTER_AND_STOP.fullmatch(form):
        found |= WordClass.NUMBER | WordClass.STOP
    elif _ABBREVIATED.fullmatch(form) and form[:-1].lower() not in titles():
        found |= WordClass.ABBREVIATED
    elif _TIME.fullmatch(form):
        found |= WordClass.TIME
    if _BLOCK.fullmatch(form) or _RULE.fullmatch(form):
        return WordClass.SEPARATOR
    if _TAG.fullmatch(form):
        return WordClass.MARK
    if word in _BULLETS:
        found |= WordClass.BULLET
    if not form.strip(markup):
        found |= WordClass.MARK
        if form.strip("#=") == "":
            found |= WordClass.HEADING
    # ":*" is a token to spaCy, as in "**From:** Anna".
    return found | _SIGNS.get(form.rstrip(markup), 0)


_SIGNS = {
    ".": WordClass.STOP,
    ":": WordClass.COLON,
    "(": WordClass.OPENING_BRACKET,
    "[": WordClass.OPENING_BRACKET,
    ")": WordClass.CLOSING_BRACKET,
    "]": WordClass.CLOSING_BRACKET,
    # Which quotation mark opens depends on the language: “…”, „…“, «…», »…«.
    '"': WordClass.QUOTE,
    ">": WordClass.QUOTED_LINE,
    ">>": WordClass.QUOTED_LINE,
}


@cache
def titles() -> frozenset[str]:
    """Return titles that are abbreviated before a name, in lower case, without the stop."""
    return _listed("titles.txt")


def abbreviation_hashes(learned: Iterable[str] = ()) -> NDArray[np.uint64]:
    """Return the hashes of abbreviations without the stop, as `kernels.find_sentences` takes them.

    An abbreviation with a capital is known in title case and capitals, others in lower case too.

    :param learned: abbreviations of the training data, in addition to
        ``abbreviations.txt``.
    """
    words = {word.rstrip(".") for word in learned} | _listed("abbreviations.txt")
    forms = {f for word in words if word for f in (word, word[0].upper() + word[1:], word.upper())}
    return np.sort(np.array([get_string_id(form) for form in forms], np.uint64))


def inner_abbreviations(doc: Doc) -> Iterator[str]:
    """Find words that end in a stop within an annotated sentence, such as "Corp."."""
    return (token.text for token in doc[:-1] if _ABBREVIATION.fullmatch(token.text))


def _listed(name: str) -> frozenset[str]:
    """Read the words of a file of this folder, in which lines that begin with ; are comments."""
    text = files(__package__).joinpath(name).read_text(encoding="utf8")
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    return frozenset(" ".join(lines).split())
