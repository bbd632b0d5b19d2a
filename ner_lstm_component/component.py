"""The trainable pipe ``ner_lstm`` for spaCy.

The model (`network.architectures`) converts Docs to the CRF's potentials, `decoding.decoder`
converts these to tags, and the component writes the tags to ``doc.ents``. For training, `gold`
reads the annotation.
"""

# No postponed annotations here: spaCy reads the annotations of the factory and initialize().

import gc
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from itertools import islice
from operator import getitem
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import srsly
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_TYPE, TAG
from spacy.errors import Errors
from spacy.language import Language
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import minibatch
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer, set_dropout_rate

from .checksums import (
    CHECKSUMS,
    FORMAT,
    check,
    checksums,
    read_checksums,
    write_checksums,
)
from .decoding import crf, decoder
from .decoding.confidence import register_extension, set_confidence
from .decoding.crf import Potentials
from .decoding.decoder import Analysis, Prediction
from .decoding.iob2 import ENT_BEGIN, ENT_IN, entity_arrays, entity_spans, tag_names
from .decoding.threshold import (
    Threshold,
    by_label,
    check_config,
    check_labels,
    checked_threshold,
    for_config,
)
from .errors import check_finite, naming_batch
from .features.lexical import WORD_TABLES
from .features.ngram_tags import lexicon_of
from .gold import Gold
from .network.architectures import Annotated, load_weights, reader_of
from .tensorflow_wrapper import (
    gradient_sum,
    precisions,
    runtimes,
    set_precision,
    set_runtime,
)
from .text.sentences import Text, split

logger = logging.getLogger(__name__)

# The files of a saved component.
FILES = "cfg", "model"
# The number of Examples counted at a time: a streamed corpus may exceed the memory.
_COUNTED_AT_ONCE = 512

DEFAULT_CONFIG = Config().from_str(
    """
    [model]
    @architectures = "ner_lstm_component.KerasLSTMTagger.v2"
    features = ["LOWER", "SHAPE", "PREFIX1", "PREFIX2", "PREFIX3", "PREFIX4",
                "SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4", "CLUSTER", "CLUSTER6", "CLUSTER4",
                "NAME", "PERSON", "PLACE"]
    rows = [10000, 1500, 250, 1500, 3000, 4000, 250, 1000, 2500, 4000, 1500, 128, 32, 256,
            16, 64]
    embed_width = 40
    width = 64
    hidden_width = 128
    depth = 1
    word_dropout = 0.3
    window = 128
    context = 24
    batch_tokens = 4096
    ngrams = [[0], [-1, 0], [0, 1], [-1, 0, 1]]
    feature_dropout = 0.1
    pos_weight = 0.2
    runtime = "auto"
    normalize = true
    precision = "float32"

    [scorer]
    @scorers = "spacy.ner_scorer.v1"
    """
)


@Language.factory(
    "ner_lstm",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config={"confidence": False, "threshold": 0.0, **DEFAULT_CONFIG},
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_ner_lstm(
    nlp: Language,
    name: str,
    model: Model,
    scorer: Callable | None,
    confidence: bool,
    threshold: float | dict | list,
) -> "LSTMEntityRecognizer":
    """Create an :class:`LSTMEntityRecognizer`, as the factory ``ner_lstm``."""
    component = LSTMEntityRecognizer(
        nlp.vocab, model, name, scorer=scorer, confidence=confidence, threshold=threshold
    )
    check_config(threshold)
    component.has_config = True
    return component


class Probabilities(NamedTuple):
    """The result of `LSTMEntityRecognizer.probabilities` for a Doc."""

    #: Probability of each tag in ``component.tags`` at each token. *Shape:* ``(n_tokens, n_tags)``
    tags: NDArray[np.float32]
    #: Probability of each entity in ``doc.ents``, or NaN if it has an unknown type or crosses
    #: sentences.
    entities: NDArray[np.float64]


class LSTMEntityRecognizer(TrainablePipe):
    """A named-entity recognizer with a BiLSTM-CRF, trained and used like spaCy's ``ner``.

    Entities that a Doc already has are kept, and predictions do not overlap with them. No
    entity is predicted on tokens blocked with ``Doc.set_ents(blocked=…)``.

    The settings :attr:`confidence`, :attr:`threshold`, :attr:`runtime` and :attr:`precision`
    belong to the config. Setting them in Python also changes the config of each pipeline that
    contains the component, and saving keeps them. On loading, the config's values take precedence;
    a component created without a pipeline has no config, and uses the saved values.

    :param model: a model from `network.architectures`, which maps Docs to `crf.Potentials`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "ner_lstm",
        *,
        scorer: Callable | None = None,
        confidence: bool = False,
        threshold: Threshold = 0.0,
    ) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.cfg: dict[str, Any] = {
            "format": FORMAT,
            "labels": [],
            "confidence": _checked_confidence(confidence),
            "threshold": checked_threshold(threshold),
        }
        #: Whether a pipeline's config contains the settings; the factory sets this.
        self.has_config = False
        self.temperature = 1.0
        self.entity_bias = 0.0
        if confidence:
            register_extension()

    # -- labels

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types, sorted."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> list[str]:
        """The labels, for ``spacy init labels`` and ``initialize(labels=…)``."""
        return list(self.labels)

    @property
    def tags(self) -> tuple[str, ...]:
        """The IOB2 tags, in the order of the emissions' columns."""
        return tag_names(self.labels)

    def add_label(self, label: str) -> int:
        """Add an entity type before the component is initialized.

        :return: 1 if the label is new, else 0.
        :raises ValueError: if the label is not a non-empty string, or the component is initialized.
        """
        _check_label(label)
        if label in self.labels:
            return 0
        if self._is_initialized:
            raise ValueError(
                f"The label {label!r} cannot be added to {self.name!r}: it is initialized for "
                f"the labels {', '.join(self.labels)}. To learn further types, initialize it "
                "again with examples of all of them (nlp.initialize), or with "
                "initialize(labels=…)."
            )
        self._set_labels([*self.labels, label])
        return 1

    def _set_labels(self, labels: Iterable[str]) -> None:
        self.cfg["labels"] = sorted(set(labels))
        for label in self.labels:
            self.vocab.strings.add(label)

    @property
    def _is_initialized(self) -> bool:
        return self.model.has_dim("nO") is True

    # -- settings

    @property
    def confidence(self) -> bool:
        """Whether predicted entities get their marginal probability in ``ent._.confidence``."""
        return self.cfg["confidence"]

    @confidence.setter
    def confidence(self, value: bool) -> None:
        self._set("confidence", _checked_confidence(value))
        if value:
            register_extension()

    @property
    def threshold(self) -> float | Mapping[str, float]:
        """The probability below which a predicted entity is dropped; 0 keeps all.

        A mapping has a threshold for each label; labels that are not in it have 0. To change one,
        assign a new mapping.

        :raises ValueError: if it is set for an unknown label, or to a number outside of 0 to 1.
        """
        value = self.cfg["threshold"]
        return MappingProxyType(value) if isinstance(value, dict) else value

    @threshold.setter
    def threshold(self, value: Threshold) -> None:
        checked = checked_threshold(value)
        if self._is_initialized:
            check_labels(checked, self.labels, self.name)
        self._set("threshold", checked)

    @property
    def runtime(self) -> str | None:
        """The runtime that predicts, as in `set_runtime`, or None without a wrapped network."""
        return next(runtimes(self.model), None)

    @runtime.setter
    def runtime(self, value: str) -> None:
        set_runtime(self.model, value)
        self._set("runtime", value, "model")

    @property
    def precision(self) -> str | None:
        """The network's precision, as in `set_precision`, or None without a wrapped network."""
        return next(precisions(self.model), None)

    @precision.setter
    def precision(self, value: str) -> None:
        set_precision(self.model, value)
        self._set("precision", value, "model")

    @property
    def temperature(self) -> float:
        """The divisor of the CRF's potentials for probabilities; it does not change the tags."""
        return self.cfg["temperature"]

    @temperature.setter
    def temperature(self, value: float) -> None:
        self.cfg["temperature"] = _checked_temperature(value)

    @property
    def entity_bias(self) -> float:
        """The number that is added to the emissions of all tags but O, in favour of entities.

        It moves the balance of precision and recall (Minkov, Wang, Tomasic and Cohen, "NER systems
        that suit user's preferences: adjusting the recall-precision trade-off for entity
        extraction", 2006). `training.calibration` fits it to held-out data.
        """
        # Pipelines of older versions have none.
        return self.cfg.get("entity_bias", 0.0)

    @entity_bias.setter
    def entity_bias(self, value: float) -> None:
        self.cfg["entity_bias"] = _checked_bias(value)

    def _set(self, name: str, value: Any, *section: str) -> None:
        """Change a setting, also in the config of each pipeline that contains the component.

        All pipelines in memory are searched, which takes some tenths of a second: spaCy does not
        notify a component when ``add_pipe(source=…)`` shares it, or when a pipeline is copied.
        """
        self.cfg[name] = value
        for nlp in [one for one in gc.get_objects() if issubclass(type(one), Language)]:
            for pipe_name in [pipe_name for pipe_name, pipe in nlp.components if pipe is self]:
                config = reduce(getitem, section, nlp.get_pipe_config(pipe_name))
                if name in config:  # a user's own architecture may lack this setting
                    config[name] = for_config(value)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the component, with checksums."""
        exclude = tuple(exclude)
        saved = srsly.msgpack_loads(super().to_bytes(exclude=exclude))
        saved[CHECKSUMS] = checksums(_files_in(saved, exclude))
        return srsly.msgpack_dumps(saved)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the component to a folder, with checksums."""
        exclude = tuple(exclude)
        super().to_disk(path, exclude=exclude)
        files = {name: (Path(path) / name).read_bytes() for name in FILES if name not in exclude}
        write_checksums(Path(path), files)

    def from_bytes(
        self, bytes_data: bytes, *, exclude: Iterable[str] = ()
    ) -> "LSTMEntityRecognizer":
        """Load the component from the result of ``to_bytes``.

        :raises ValueError: if the config's settings do not match the saved weights, or if the
            bytes are damaged.
        """
        exclude = tuple(exclude)
        with _collecting_garbage():
            saved = srsly.msgpack_loads(bytes_data)
            self._load(_files_in(saved, exclude), saved.get(CHECKSUMS))
            super().from_bytes(bytes_data, exclude=(*exclude, *FILES))
        return self

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "LSTMEntityRecognizer":
        """Load the component from a folder, with the same errors as :meth:`from_bytes`."""
        exclude, folder = tuple(exclude), Path(path)
        files = {name: (folder / name).read_bytes() for name in FILES if name not in exclude}
        try:
            with _collecting_garbage():
                self._load(files, read_checksums(folder))
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from error
        super().from_disk(path, exclude=(*exclude, *FILES))
        return self

    def _load(self, files: Mapping[str, bytes], saved_checksums: Any) -> None:
        """Load the settings and the model; the config takes precedence."""
        cfg = _read_cfg(files["cfg"]) if "cfg" in files else {}
        check(files, saved_checksums, cfg.get("format"))
        given = {name: self.cfg[name] for name in ("confidence", "threshold")}
        for name in ("config", "network", "runtime", "precision", "entity_bias"):
            self.cfg.pop(name, None)
        self.cfg |= cfg | {"format": FORMAT}
        if "model" in files:
            try:
                load_weights(self.name, self.model, files["model"], self.cfg.get("network"))
            except AttributeError:
                raise ValueError(Errors.E149) from None
            self._keep_network_settings()
            if self._is_initialized and self.model.get_dim("nO") != len(self.tags):
                raise ValueError(
                    f"The model of {self.name!r} has {self.model.get_dim('nO')} tags; expected "
                    f"{len(self.tags)}, of the labels in 'cfg'. The files are of two components."
                )
        if not self.has_config:
            if "runtime" in self.cfg:
                set_runtime(self.model, self.cfg["runtime"])
            if "precision" in self.cfg:
                set_precision(self.model, self.cfg["precision"])
            return
        self.cfg.pop("runtime", None)
        self.cfg.pop("precision", None)
        # Version 0.1.0 did not write settings to the config. It saved the config's values with
        # the settings: if the config still has such a value, the saved setting applies.
        saved_with = self.cfg.pop("config", {})
        for name, value in given.items():
            # JSON rounds to nine decimals.
            if (
                name not in saved_with
                or isinstance(value, dict)
                or not math.isclose(value, saved_with[name], abs_tol=1e-6)
            ):
                self.cfg[name] = value
            elif self.cfg[name] != value:
                setattr(self, name, self.cfg[name])
        if self.labels:
            check_labels(self.cfg["threshold"], self.labels, self.name)

    def _keep_network_settings(self) -> None:
        if "settings" in self.model.attrs and self._is_initialized:
            self.cfg["network"] = self.model.attrs["settings"].of_weights

    # -- prediction

    def predict(self, docs: Iterable[Doc]) -> list[Prediction]:
        """Predict the best IOB2 tags for each Doc, given its existing entities."""
        docs = list(docs)
        if self.confidence or self.cfg["threshold"]:
            return [analysis.prediction for analysis in self.analyse(docs)]
        return decoder.best_tags(self.potentials(docs), _lengths(docs))

    def analyse(
        self,
        docs: Sequence[Doc],
        *,
        thresholds: Sequence[float] | None = None,
        probabilities: bool = False,
    ) -> list[Analysis]:
        """Predict the best IOB2 tags for each Doc with their probabilities, in one pass.

        :param docs: Docs without this component's entities, which :meth:`set_annotations` sets.
        :param thresholds: a number for each Doc and all labels, instead of :attr:`threshold`.
        :param probabilities: whether to compute the probability of each tag.
        """
        if thresholds is None:
            by_doc = by_label(self.cfg["threshold"], self.labels)[None]
        else:
            by_doc = np.array(thresholds, np.float64)[:, None]
        return decoder.analyse(
            self.potentials(docs),
            _lengths(docs),
            by_doc,
            temperature=self.temperature,
            with_tags=probabilities,
        )

    def probabilities(self, docs: Iterable[Doc]) -> list[Probabilities]:
        """Compute the CRF's marginals for tags and the Docs' entities, at the temperature."""
        docs = list(docs)
        potentials = self._unconstrained(docs)
        index = {label: i for i, label in enumerate(self.labels)}
        offsets = np.cumsum([0, *_lengths(docs)]).tolist()
        ents = [
            (offset + ent.start, offset + ent.end, index.get(ent.label_, -1))
            for doc, offset in zip(docs, offsets, strict=False)
            for ent in doc.ents
        ]
        spans = np.array(ents, np.int64).reshape(-1, 3)
        words = potentials.word_offsets(spans[:, :2])
        # The sentences of an entity's first and last word.
        sentences = np.searchsorted(np.cumsum(potentials.lengths), words - [0, 1], side="right")
        scored = (spans[:, 2] >= 0) & (sentences[:, 0] == sentences[:, 1])
        scored &= words[:, 0] < words[:, 1]
        found = crf.marginals(
            potentials, spans[scored], temperature=self.temperature, with_tags=True
        )
        assert found.tags is not None
        entities = np.full(len(spans), np.nan)
        entities[scored] = found.spans
        by_doc = split(entities, [len(doc.ents) for doc in docs])
        return list(map(Probabilities, split(found.tags, _lengths(docs)), by_doc))

    def potentials(self, docs: Sequence[Doc]) -> Potentials:
        """Compute the CRF's potentials, with O forced on tokens blocked or in an entity."""
        potentials = self._unconstrained(docs)
        if not len(potentials.emissions) or not any(doc.has_annotation(ENT_IOB) for doc in docs):
            return potentials
        taken = np.concatenate([_is_taken(doc.to_array(ENT_IOB)) for doc in docs])
        return decoder.forbid_entities(potentials, taken)

    def _unconstrained(self, docs: Sequence[Doc]) -> Potentials:
        if not self._is_initialized:
            raise ValueError(Errors.E109.format(name=self.name))
        potentials = self.model.predict(docs)
        return crf.favour_entities(potentials, self.entity_bias) if self.entity_bias else potentials

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[Prediction]) -> None:
        """Write the predictions of :meth:`predict` to ``doc.ents``."""
        vocab: Vocab | None = None
        hashes: list[int] = []
        for doc, (tags, confidence) in zip(docs, scores, strict=True):
            if not len(doc):
                continue
            if doc.vocab is not vocab:  # Docs may come from several pipelines.
                vocab = doc.vocab
                hashes = [vocab.strings.add(label) for label in self.labels]
            values = entity_arrays(tags, hashes)
            if doc.has_annotation(ENT_IOB):
                own = doc.to_array([ENT_IOB, ENT_TYPE])
                taken = _is_taken(own[:, 0])
                values[taken] = own[taken]
            doc.from_array([ENT_IOB, ENT_TYPE], values)
            if self.confidence and confidence is not None:
                set_confidence(doc, entity_spans(tags)[:, :2].tolist(), confidence.tolist())

    # -- training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
        corpus: Callable[[Language], Iterable[Example]] | None = None,
    ) -> None:
        """Build a new network for the given labels, or the labels in the examples.

        :param labels: entity types, as in :attr:`label_data`; read from the examples by default.
        :param corpus: for streamed corpora, a reader of more examples than ``get_examples``
            returns: labels, n-gram counts and part-of-speech tags come from these examples.
        :raises ValueError: if no label is found, or ``corpus`` is given without ``nlp``.
        """
        validate_get_examples(get_examples, "LSTMEntityRecognizer.initialize")
        get_all = get_examples
        if corpus is not None:
            if nlp is None:
                raise ValueError("'corpus' needs 'nlp', the pipeline. Received: nlp=None")
            get_all = partial(corpus, nlp)
        elif nlp is not None and nlp.config.interpolate()["training"]["max_epochs"] == -1:
            logger.warning(
                "The training corpus is streamed (max_epochs = -1): spaCy initializes %(name)r "
                "with its first 100 examples, and takes labels and n-gram counts from these alone. "
                "To learn from more, set 'corpus' in [initialize.components.%(name)s], as "
                "configs/default.cfg does.",
                {"name": self.name},
            )
        if labels is None:
            labels = [ent.label_ for eg in get_all() for ent in eg.reference.ents]
        for label in set(labels):
            _check_label(label)
        self._set_labels([*self.labels, *labels])
        if not self.labels:
            raise ValueError(Errors.E143.format(name=self.name))
        check_labels(self.cfg["threshold"], self.labels, self.name)
        # What was fitted belongs to the previous network.
        self.temperature, self.entity_bias = 1.0, 0.0
        self.model.set_dim("nO", len(self.tags), force=True)
        self._learn_lexicon(get_all)
        sample = [eg.predicted for eg in islice(get_examples(), 10) if len(eg.predicted)]
        self.model.initialize(X=sample or [Doc(self.vocab, words=["."])])
        self._keep_network_settings()

    def _learn_lexicon(self, get_examples: Callable[[], Iterable[Example]]) -> None:
        """Learn known words, count n-grams and collect tags, as far as the network uses them."""
        if "known_words" in self.model.attrs:
            learned = self.model.attrs["reader"].learn(minibatch(get_examples(), _COUNTED_AT_ONCE))
            self.model.attrs["known_words"] = list(learned)
        for layer in self.model.walk():
            for name in WORD_TABLES.keys() & layer.attrs.keys():
                layer.attrs[name] = list(WORD_TABLES[name](self.vocab.lang))
        lexicon = self.model.maybe_get_ref("lexicon")
        learns_pos = getattr(self.model.attrs.get("settings"), "pos_weight", 0) > 0
        pos: set[str] = set()

        def batches() -> Iterator[tuple[Text, NDArray[np.int64]]]:
            for examples in minibatch(get_examples(), _COUNTED_AT_ONCE):
                for example in examples:
                    tags = np.unique(example.reference.to_array(TAG))
                    pos.update(example.reference.vocab.strings[tag] for tag in tags if tag)
                gold = Gold(examples, reader_of(self.model))
                yield gold.text, gold.tags(self.labels)

        if lexicon is not None:
            lexicon_of(lexicon).learn(batches(), len(self.tags))
        elif learns_pos:
            deque(batches(), maxlen=0)
        self.cfg["pos"] = sorted(pos) if learns_pos else []
        if learns_pos:
            self.model.attrs["n_pos"] = len(pos)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch of examples.

        The likelihood sums over all tags for tokens without annotation; a Doc without any
        annotation has no gradient.

        :param sgd: the optimizer, or None or False to only accumulate the gradient.
        :param losses: a dict to which the annotated Docs' mean negative log-likelihood is added.
        :raises ValueError: if an entity type is unknown, an example cannot be aligned, or the loss
            or gradient is not finite. The weights are then unchanged.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "LSTMEntityRecognizer.update")
        annotated, scale = self._annotated(examples)
        if len(annotated.allowed):
            set_dropout_rate(self.model, drop)
            with naming_batch([eg.reference for eg in examples], self.name):
                loss, backprop = self.model.begin_update(annotated)
                check_finite("the loss", loss)
                backprop(scale)
                check_finite("the gradient", gradient_sum(self.model))
            losses[self.name] += loss * scale
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Potentials) -> tuple[float, Potentials]:
        """Compute the loss and gradient for the model's output, with the errors of :meth:`update`.

        :meth:`update` computes the same loss faster. This method is for chained models: call
        ``scores, backprop = model.begin_update(docs)``, then ``backprop`` with the gradient.
        """
        examples = list(examples)
        validate_examples(examples, "LSTMEntityRecognizer.get_loss")
        annotated, scale = self._annotated(examples)
        loss, *gradients = crf.negative_log_likelihood(scores, annotated.allowed)
        with naming_batch([eg.reference for eg in examples], self.name):
            check_finite("the loss", loss)
            check_finite("the gradient", float(sum(gradient.sum() for gradient in gradients)))
        emissions, transitions = (gradient * np.float32(scale) for gradient in gradients)
        return loss * scale, scores._replace(emissions=emissions, transitions=transitions)

    def _annotated(self, examples: Sequence[Example]) -> tuple[Annotated, float]:
        """Return the annotation of a batch, and the weight of an annotated Doc in the loss."""
        gold = Gold(examples, reader_of(self.model))
        allowed = gold.allowed_tags(self.labels)
        pos = gold.pos(self.cfg["pos"]) if self.cfg.get("pos") else None
        by_doc = split(allowed, gold.text.doc_lengths)
        return Annotated(gold.text, allowed, pos), 1 / max(1, sum(not one.all() for one in by_doc))


def _files_in(saved: Mapping[str, Any], exclude: Iterable[str]) -> dict[str, bytes]:
    """Return the files in the result of ``to_bytes``, where the JSON of ``cfg`` is a string."""
    names = [name for name in FILES if name in saved and name not in exclude]
    return {name: saved[name].encode() if name == "cfg" else saved[name] for name in names}


@contextmanager
def _collecting_garbage() -> Iterator[None]:
    """Leave the garbage collector on: srsly turns it off to read, also where an error follows."""
    was_enabled = gc.isenabled()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_cfg(data: bytes) -> dict[str, Any]:
    """Read the saved settings.

    :raises ValueError: if they are damaged.
    """
    try:
        cfg: dict[str, Any] = srsly.json_loads(data)
        labels, pos = cfg["labels"], cfg.get("pos", [])
        for label in (*labels, *pos):
            _check_label(label)
        if labels != sorted(set(labels)) or not isinstance(pos, list):
            raise ValueError(f"'labels' must be a sorted list. Received: {labels!r}")
        if not isinstance(network := cfg.get("network", {}), dict):
            raise ValueError(f"'network' must contain settings. Received: {network!r}")
        _checked_confidence(cfg["confidence"])
        checked_threshold(cfg["threshold"])
        _checked_temperature(cfg.get("temperature", 1.0))
        _checked_bias(cfg.get("entity_bias", 0.0))
    # Whatever a damaged or malicious file contains.
    except Exception as error:
        raise ValueError(f"The file 'cfg' is damaged: {error!r}") from error
    return cfg


def _checked_temperature(value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"'temperature' must be a positive number. Received: {value!r}")
    return float(value)


def _checked_bias(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"'entity_bias' must be a finite number. Received: {value!r}")
    return float(value)


def _check_label(label: str) -> None:
    if not isinstance(label, str) or not label:
        raise ValueError(f"An entity type must be a non-empty string. Received: {label!r}")


def _checked_confidence(value: bool) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"'confidence' must be True or False. Received: {value!r}")
    return value


def _lengths(docs: Sequence[Doc]) -> list[int]:
    return [len(doc) for doc in docs]


def _is_taken(iob: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which tokens are in an existing entity or blocked for entities."""
    return (iob == ENT_IN) | (iob == ENT_BEGIN)
