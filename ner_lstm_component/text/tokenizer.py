"""spaCy's tokenizer for text as people have it: typographic forms, invisible characters, markup."""

# No postponed annotations here: spaCy reads those of registered functions.

import re
from collections.abc import Callable, Iterable

import srsly
from spacy.attrs import LENGTH, NORM, SPACY
from spacy.lang.char_classes import ALPHA
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex

from .characters import is_plain, plain, plain_words, without_invisible_end

# A name in angle brackets may be a person in a chat. It is a tag if it closes something, or if
# HTML has it.
_HTML = (
    "a|abbr|address|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|dd|del"
    "|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|img|ins|label"
    "|li|link|main|mark|nav|ol|option|p|pre|q|s|section|small|span|strike|strong|sub|summary|sup"
    "|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul"
)
_TAG = rf"<(?:/[A-Za-z][\w:.-]*|[A-Za-z][\w:.-]*/|(?i:{_HTML}))>|&(?:nbsp|quot|[lg]t);"
# "=" ends many URLs, after the name of a parameter.
_NO_PARAMETER = "".join(rf"(?<![?&]\w{{{length}}})" for length in range(1, 9))

# What spaCy leaves on a word, in some languages at least. "--" is what "—" becomes.
_PREFIXES = [
    *[rf"(?:{_TAG})", "[™®©•‣†‡–]", r"\|+", "~~+", rf"~(?=[{ALPHA}])"],
    *["=+", "#", r"\.?@(?=\w)", "--+"],
]
_SUFFIXES = [
    *[rf"(?:{_TAG})", "[™®©†‡–]", r"\|+", "~~+", rf"(?<=[{ALPHA}])~"],
    *[rf"(?<=\w){_NO_PARAMETER}=+", "--+", r"(?<=[~=|™®©†‡])\."],
]
_INFIXES = [
    *[_TAG, r"(?<=[\"'])/?>", "[™®©]", r"\|+"],
    *[r"(?:\*\*|~~|[_`])(?=[-/])", r"\][\[(]", '"[,;:]"|="'],  # "**Oslo**-based", links, tables
]


# No suffix but a run, such as a line of hyphens, has more characters.
_END = 128


class _SuffixSearch:
    """A search for a suffix that reads the end of a word only.

    spaCy searches all that is left of a word before each suffix that it splits off, so a word of
    10,000 brackets would take twenty seconds.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._search = re.compile(pattern).search

    def search(self, word: str) -> re.Match | None:
        start = max(0, len(word) - _END)
        match = self._search(word, start)
        if start and (match is None or match.start() == start):
            start = len(word[:start].rstrip(word[start]))  # a run of one character may be longer
            match = self._search(word, start)
        return match


class PlainTokenizer(Tokenizer):
    """Split a text where spaCy would split it if it were typed plainly.

    Typographic forms and invisible characters don't change where tokens begin and end, except an
    en dash beside a letter, which is split off. Invisible characters at the edge of a token are a
    token of their own. Tokens have the text of the document, and the norm of the plain text.
    Special cases apply to their plain form, too.
    """

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "PlainTokenizer":
        """Load the tokenizer, with the searches for affixes of a new one."""
        exclude = tuple(exclude)
        super().from_bytes(bytes_data, exclude=(*exclude, "exceptions"))
        saved = srsly.msgpack_loads(bytes_data)
        saved = {name: value for name, value in saved.items() if name not in exclude}
        if pattern := saved.get("prefix_search"):
            self.prefix_search = _prefix_search(pattern)
        if pattern := saved.get("suffix_search"):
            self.suffix_search = _SuffixSearch(pattern).search
        if "exceptions" in saved:
            self.rules = saved["exceptions"]  # last, because each other change applies them again
        return self

    def __call__(self, text: str) -> Doc:
        """Split a text into tokens.

        :return: a Doc of the very same text.
        """
        if is_plain(text):
            return super().__call__(text)
        plain_text, offsets = plain_words(text)
        return _restore(text, super().__call__(plain_text), offsets)

    def add_special_case(self, string: str, substrings: Iterable[dict]) -> None:
        """Add a special case as spaCy does, and its plain form unless that has a rule already."""
        substrings = list(substrings)
        super().add_special_case(string, substrings)
        if not is_plain(string) and plain(string) not in self.rules:
            typed = [{key: plain(value) for key, value in token.items()} for token in substrings]
            super().add_special_case(
                plain(string), [token for token in typed if all(token.values())]
            )

    def explain(self, text: str) -> list[tuple[str, str]]:
        """Return the tokens of the plain text, and the rule that made each of them."""
        return super().explain(plain_words(text)[0])


def make_tokenizer() -> Callable[[Language], PlainTokenizer]:
    """`ner_lstm_component.Tokenizer.v1`: a `PlainTokenizer` with the rules of the language.

    Further rules split markup off a word: ``~~Oslo~~``, ``|Oslo|``, ``=Oslo=``, ``@anna``,
    ``<b>Oslo</b>``, ``[Oslo](url)`` and the like. URLs and e-mail addresses stay whole.

    :raises ValueError: when a pipeline is created, if the language has a tokenizer of its own.
    """

    def create(nlp: Language) -> PlainTokenizer:
        own = nlp.default_config["nlp"]["tokenizer"]["@tokenizers"]
        if own != "spacy.Tokenizer.v1":
            raise ValueError(
                "The tokenizer 'ner_lstm_component.Tokenizer.v1' adds to the rules of "
                "'spacy.Tokenizer.v1'. Expected: a language that uses these rules. Received: "
                f"{nlp.lang!r}, which has a tokenizer of its own. Set @tokenizers = {own!r} in "
                "[nlp.tokenizer] of the config"
            )
        rules = nlp.Defaults
        return PlainTokenizer(
            nlp.vocab,
            rules=rules.tokenizer_exceptions,
            prefix_search=_prefix_search(
                compile_prefix_regex([*_PREFIXES, *(rules.prefixes or [])]).pattern
            ),
            suffix_search=_SuffixSearch(
                compile_suffix_regex([*_SUFFIXES, *(rules.suffixes or [])]).pattern
            ).search,
            infix_finditer=compile_infix_regex([*_INFIXES, *(rules.infixes or [])]).finditer,
            token_match=rules.token_match,
            url_match=rules.url_match,
        )

    return create


def _prefix_search(pattern: str) -> Callable[[str], re.Match | None]:
    """Return a search for a prefix that reads the beginning of a word only."""
    return re.compile(pattern).match


def _restore(text: str, doc: Doc, offsets: list[int]) -> Doc:
    """Make the Doc of a text from the Doc of its plain form.

    :param offsets: where each character of the plain form begins, and the length of the text.
    """
    words: list[str] = []
    spaces: list[bool] = []
    norms: list[tuple[int, int]] = []
    at = end = 0
    for length, space, norm in doc.to_array([LENGTH, SPACY, NORM]).tolist():
        start, stop = offsets[at], offsets[at + length]
        if end < start:
            _add_invisible(text[end:start], words, spaces)
        word = text[start:stop]
        if stop - offsets[at + length - 1] > 1:
            word = without_invisible_end(word)
        at += length + space
        end = start + len(word)
        if word == " " and spaces and not spaces[-1]:
            spaces[-1] = True
        elif word:  # a part of one character, such as a full stop of "…", has none
            norms.append((len(words), norm))
            words.append(word)
            spaced = bool(space) and text[end : end + 1] == " "
            spaces.append(spaced)
            end += spaced
    _add_invisible(text[end:], words, spaces)
    restored = Doc(doc.vocab, words=words, spaces=spaces)
    own = restored.to_array(NORM).tolist()
    for index, norm in norms:
        if own[index] != norm:
            restored[index].norm_ = doc.vocab.strings[norm]
    return restored


def _add_invisible(text: str, words: list[str], spaces: list[bool]) -> None:
    """Add what is between two tokens, which is invisible, as tokens."""
    for word, space in re.findall("([^ ]+)( ?)", text):
        words.append(word)
        spaces.append(bool(space))
