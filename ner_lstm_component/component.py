"""The trainable pipe ``ner_lstm``: what spaCy talks to.

Docs go through the model (`architectures.py`) to the CRF's factors, are decoded to IOB2
tags (`crf.py`), and the tags are written to ``doc.ents`` as arrays (`tags.py`).
"""

# No postponed annotations here: spaCy reads those of the factory and of initialize().

import gc
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
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

from .decoding import crf
from .decoding.confidence import register_extension, set_confidence
from .decoding.crf import Potentials
from .decoding.iob2 import ENT_BEGIN, ENT_IN, begin_entity, entity_arrays, entity_spans, tag_names
from .errors import beginning, check_finite, naming, naming_batch
from .features.ngram_tags import lexicon_of
from .network.architectures import Annotated, check_weights, restore_settings
from .network.settings import check_saved
from .tensorflow_wrapper import gradient_sum, runtimes, set_runtime
from .text.sentences import split
from .training.gold import Gold

logger = logging.getLogger(__name__)

# Examples whose n-grams are counted at once.
_COUNTED_AT_ONCE = 512

# What the component writes to tokens.
_WRITTEN = [ENT_IOB, ENT_TYPE]

DEFAULT_CONFIG = Config().from_str(
    """
    [model]
    @architectures = "ner_lstm_component.KerasLSTMTagger.v1"
    features = ["LOWER", "SHAPE", "PREFIX1", "PREFIX2", "PREFIX3", "PREFIX4",
                "SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4"]
    rows = [10000, 1500, 250, 1500, 3000, 4000, 250, 1000, 2500, 4000]
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
    threshold: float,
) -> "LSTMEntityRecognizer":
    """The factory ``ner_lstm``: see :class:`LSTMEntityRecognizer`."""
    component = LSTMEntityRecognizer(
        nlp.vocab, model, name, scorer=scorer, confidence=confidence, threshold=threshold
    )
    component.has_config = True
    return component


class Prediction(NamedTuple):
    """What `LSTMEntityRecognizer.predict` says of a Doc.

    :param tags: the best IOB2 tags, columns of the emissions (see `tags.tag_names`),
        without the entities below the threshold. *Shape:* ``(n_tokens,)``
    :param confidence: the probability of each entity of these tags; None where it was not
        asked for. *Shape:* ``(n_entities,)``
    """

    tags: NDArray[np.int64]
    confidence: NDArray[np.float64] | None


class Probabilities(NamedTuple):
    """What `LSTMEntityRecognizer.probabilities` says of a Doc.

    :param tags: of each tag at each token, in the order of the component's ``tags``; rows
        sum to 1. *Shape:* ``(n_tokens, n_tags)``
    :param entities: of each entity in ``doc.ents``, as it stands, with its type. NaN for a
        type that the component does not know, or an entity across sentences.
        *Shape:* ``(n_entities,)``
    """

    tags: NDArray[np.float32]
    entities: NDArray[np.float64]


class Analysis(NamedTuple):
    """What `LSTMEntityRecognizer.analyse` says of a Doc.

    :param prediction: as of `LSTMEntityRecognizer.predict`, always with the confidences.
    :param probabilities: of each tag at each token, in the order of the component's ``tags``;
        None where they were not asked for. *Shape:* ``(n_tokens, n_tags)``
    """

    prediction: Prediction
    probabilities: NDArray[np.float32] | None


class LSTMEntityRecognizer(TrainablePipe):
    """A named-entity recognizer with a BiLSTM-CRF, trained and used as spaCy's ``ner``.

    Entities that are on a Doc when the component runs stay, predictions fit around them,
    and no entity is predicted on tokens blocked by ``Doc.set_ents(blocked=…)``.

    :param vocab: the shared vocabulary.
    :param model: from Docs to :class:`.crf.Potentials`; see `architectures.py`.
    :param name: the component's name in the pipeline.
    :param scorer: the scoring method; spaCy's for entities by default.
    :param confidence: see the attribute :attr:`confidence`.
    :param threshold: see the attribute :attr:`threshold`.

    The settings :attr:`confidence`, :attr:`threshold` and :attr:`runtime` are those of the
    component's config. Set in Python, they are written to the config of each pipeline that
    holds the component, and are saved with it. On loading, the config's values are used; a
    component made without a pipeline has no config, and takes over the saved values.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "ner_lstm",
        *,
        scorer: Callable | None = None,
        confidence: bool = False,
        threshold: float = 0.0,
    ) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.cfg: dict[str, Any] = {
            "labels": [],
            "confidence": _checked_confidence(confidence),
            "threshold": _checked_threshold(threshold),
        }
        #: Whether the settings are those of a pipeline's config; for factories to set.
        self.has_config = False
        self.temperature = 1.0
        if confidence:
            register_extension()

    # -- labels

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types, sorted."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> list[str]:
        """What ``spacy init labels`` saves and ``initialize(labels=…)`` takes."""
        return list(self.labels)

    @property
    def tags(self) -> tuple[str, ...]:
        """The IOB2 tags, in the order of the emissions' columns."""
        return tag_names(self.labels)

    def add_label(self, label: str) -> int:
        """Add an entity type before the component is initialized.

        :return: 1 if it is new, else 0.
        :raises ValueError: if it is not a non-empty string, or the component is initialized:
            the network's output has its size.
        """
        _check_label(label)
        if label in self.labels:
            return 0
        if self._is_initialized:
            raise ValueError(
                f"The label {label!r} cannot be added to {self.name!r}: it is initialized for "
                f"the labels {', '.join(self.labels)}. To learn further types, initialize it "
                "anew with examples of all of them (nlp.initialize), or with "
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

    def _label_hashes(self) -> list[int]:
        # Again each time: a vocabulary may have been put in another's place.
        return [self.vocab.strings.add(label) for label in self.labels]

    def _label_index(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}

    # -- settings

    @property
    def confidence(self) -> bool:
        """Whether predicted entities get their probability, as ``ent._.confidence``.

        It is the span's marginal under the CRF. Entities of other components have none.
        """
        return self.cfg["confidence"]

    @confidence.setter
    def confidence(self, value: bool) -> None:
        self._set("confidence", _checked_confidence(value))
        if value:
            register_extension()

    @property
    def threshold(self) -> float:
        """The probability below which a predicted entity is not set; 0 sets all.

        More raises precision, and lowers recall.
        """
        return self.cfg["threshold"]

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._set("threshold", _checked_threshold(value))

    @property
    def runtime(self) -> str | None:
        """The runtime that predicts: ``"auto"``, ``"onnx"`` or ``"tensorflow"``.

        See `tensorflow_wrapper.set_runtime`. None for a model without a wrapped network.
        """
        return next(runtimes(self.model), None)

    @runtime.setter
    def runtime(self, value: str) -> None:
        set_runtime(self.model, value)
        self._set("runtime", value, "model")

    @property
    def temperature(self) -> float:
        """What the CRF's factors are divided by where probabilities are computed.

        Above 1 probabilities are less extreme. It changes no tag. `calibration.py` fits it
        to data that training has not seen; it is saved with the component.
        """
        return self.cfg["temperature"]

    @temperature.setter
    def temperature(self, value: float) -> None:
        if not 0 < value < math.inf:
            raise ValueError(
                f"'temperature' must be a positive number. Received: temperature={value!r}"
            )
        self.cfg["temperature"] = float(value)

    def _set(self, name: str, value: Any, *section: str) -> None:
        """Keep a setting, and write it to the component's config."""
        self.cfg[name] = value
        for config in _configs_of(self):
            for key in section:
                config = config[key]
            # Not to one that lacks it, as that of an architecture of the user's own may.
            if name in config:
                config[name] = value

    def from_bytes(
        self, bytes_data: bytes, *, exclude: Iterable[str] = ()
    ) -> "LSTMEntityRecognizer":
        """Take over a component from what ``to_bytes`` gave.

        :raises ValueError: for settings in the config that do not fit the saved weights.
        """
        excluded = tuple(exclude)
        with self._taking_over():
            super().from_bytes(bytes_data, exclude=(*excluded, "model"))
            saved = srsly.msgpack_loads(bytes_data).get("model")
            if saved is not None and "model" not in excluded:
                self._load_model(srsly.msgpack_loads(saved))
        return self

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "LSTMEntityRecognizer":
        """Take over a component from what ``to_disk`` wrote.

        :raises ValueError: for settings in the config that do not fit the saved weights.
        """
        excluded = tuple(exclude)
        with self._taking_over():
            super().from_disk(path, exclude=(*excluded, "model"))
            if "model" not in excluded:
                # As TrainablePipe does, but without the file's bytes being held all the while.
                self._load_model(srsly.msgpack_loads((Path(path) / "model").read_bytes()))
        return self

    @contextmanager
    def _taking_over(self) -> Iterator[None]:
        """Keep the settings of the config, whatever is read."""
        given = {name: self.cfg[name] for name in ("confidence", "threshold")}
        for name in ("config", "network", "runtime"):
            self.cfg.pop(name, None)
        yield
        if not self.has_config:
            if "runtime" in self.cfg:
                set_runtime(self.model, self.cfg["runtime"])
            return
        self.cfg.pop("runtime", None)
        # Saved by 0.1.0, which left the config as it was when a setting was set in Python.
        saved_with = self.cfg.pop("config", {})
        for name, value in given.items():
            # Not exactly: JSON keeps nine decimals.
            if name in saved_with and math.isclose(value, saved_with[name], abs_tol=1e-6):
                if self.cfg[name] != value:
                    setattr(self, name, self.cfg[name])
            else:
                self.cfg[name] = value

    def _load_model(self, saved: dict[str, Any]) -> None:
        """Take over the weights, if they fit the settings of the config."""
        settings = self.model.attrs.get("settings")
        if settings is not None and "network" in self.cfg:
            check_saved(self.name, self.cfg["network"], settings.of_weights)
        elif settings is not None:
            check_weights(self.name, self.model, saved)
        try:
            self.model.from_dict(saved)
        except AttributeError:
            raise ValueError(Errors.E149) from None
        if settings is not None and self._is_initialized:
            restore_settings(self.name, self.model)
            self.cfg["network"] = settings.of_weights

    # -- prediction

    def predict(self, docs: Iterable[Doc]) -> list[Prediction]:
        """The best IOB2 tags of each Doc, its existing entities taken as given."""
        docs = list(docs)
        if self.confidence or self.threshold > 0:
            return self._decode(docs, [self.threshold] * len(docs), with_tags=False)[0]
        tags = crf.viterbi(*self.factors(docs))
        return [Prediction(part, None) for part in _split(tags, docs)]

    def probabilities(self, docs: Iterable[Doc]) -> list[Probabilities]:
        """How probable each tag of each token is, and each entity on the Docs.

        They are the CRF's marginals, sums over all IOB2 sequences of a sentence, at the
        :attr:`temperature`.
        """
        docs = list(docs)
        factors = self._potentials(docs)
        spans, scored = self._spans(docs, factors.lengths)
        found = crf.marginals(factors, spans, temperature=self.temperature, with_tags=True)
        assert found.tags is not None
        entities = np.full(len(scored), np.nan)
        entities[scored] = found.spans
        by_doc = split(entities, [len(doc.ents) for doc in docs])
        return list(map(Probabilities, _split(found.tags, docs), by_doc))

    def analyse(
        self,
        docs: Sequence[Doc],
        *,
        thresholds: Sequence[float] | None = None,
        probabilities: bool = False,
    ) -> list[Analysis]:
        """The best IOB2 tags of each Doc, and how probable they are, by one run of the network.

        Existing entities are taken as given: their tokens are certain to be O.

        :param docs: Docs without this component's entities; :meth:`set_annotations` sets them.
        :param thresholds: for each Doc, what holds in place of :attr:`threshold`.
        :param probabilities: whether each tag's are wanted.
        """
        if thresholds is None:
            thresholds = [self.threshold] * len(docs)
        predictions, of_tags = self._decode(docs, thresholds, with_tags=probabilities)
        if of_tags is None:
            return [Analysis(prediction, None) for prediction in predictions]
        return list(map(Analysis, predictions, of_tags))

    def _decode(
        self, docs: Sequence[Doc], thresholds: Sequence[float], *, with_tags: bool
    ) -> tuple[list[Prediction], list[NDArray[np.float32]] | None]:
        """The best tags without the entities below the thresholds, and each tag's probability."""
        factors = self.factors(docs)
        tags = crf.viterbi(*factors)
        spans = entity_spans(tags)
        confidence, of_tags = crf.marginals(
            factors, spans, temperature=self.temperature, with_tags=with_tags
        )
        sure: list[list[float]] = [[] for _ in docs]
        number, doc_end = -1, 0
        for (start, end, _), probability in zip(spans.tolist(), confidence.tolist(), strict=True):
            while start >= doc_end:
                number += 1
                doc_end += len(docs[number])
            if probability >= thresholds[number]:
                sure[number].append(probability)
            else:
                tags[start:end] = 0
        predictions = list(map(Prediction, _split(tags, docs), map(np.array, sure)))
        return predictions, None if of_tags is None else _split(of_tags, docs)

    def _spans(
        self, docs: Sequence[Doc], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The Docs' entities that the CRF can score, and which of all they are."""
        index = self._label_index()
        ends = np.cumsum(lengths)
        offsets = np.cumsum([0, *(len(doc) for doc in docs[:-1])])
        spans, scored = [], []
        for doc, offset in zip(docs, offsets, strict=bool(docs)):
            for ent in doc.ents:
                start, end = offset + ent.start, offset + ent.end
                sentence_end = ends[np.searchsorted(ends, start, side="right")]
                scored.append(ent.label_ in index and end <= sentence_end)
                if scored[-1]:
                    spans.append((start, end, index[ent.label_]))
        return np.array(spans, np.int64).reshape(-1, 3), np.array(scored, bool)

    def _potentials(self, docs: Sequence[Doc]) -> Potentials:
        if not self._is_initialized:
            raise ValueError(Errors.E109.format(name=self.name))
        return self.model.predict(docs)

    def factors(self, docs: Sequence[Doc]) -> Potentials:
        """The CRF's factors given what is on the Docs: taken tokens begin and continue nothing."""
        potentials = self._potentials(docs)
        annotated = [doc.has_annotation(ENT_IOB) for doc in docs]
        if not any(annotated) or not len(potentials.emissions):
            return potentials
        taken = np.concatenate([_is_taken(doc.to_array(ENT_IOB)) for doc in docs])
        emissions = potentials.emissions.copy()
        emissions[taken, 1:] = crf.FORBIDDEN
        return potentials._replace(emissions=emissions)

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[Prediction]) -> None:
        """Write predicted tags to ``doc.ents``, and confidences if asked for.

        :param scores: what :meth:`predict` gave for the same Docs.
        """
        hashes = self._label_hashes()
        vocab = self.vocab
        for doc, (tags, confidence) in zip(docs, scores, strict=True):
            if not len(doc):
                continue
            if doc.vocab is not vocab:  # of another pipeline
                vocab = doc.vocab
                for label in self.labels:
                    vocab.strings.add(label)
            values = entity_arrays(tags, hashes)
            if doc.has_annotation(ENT_IOB):
                own = doc.to_array(_WRITTEN)
                taken = _is_taken(own[:, 0])
                values[taken] = own[taken]
            doc.from_array(_WRITTEN, values)
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
        """Build a new network for the labels given, or found in the examples.

        :param get_examples: gives the examples.
        :param nlp: the pipeline, which ``corpus`` is called with.
        :param labels: entity types, as :attr:`label_data`; without them the examples are
            read through.
        :param corpus: reads more examples than ``get_examples`` gives. Labels, n-gram
            counts and part-of-speech tags are then learnt from these. For streamed corpora;
            see `stream.make_stream_sample`.
        :raises ValueError: if there are no labels (E143), or ``corpus`` is given without
            ``nlp``.
        """
        validate_get_examples(get_examples, "LSTMEntityRecognizer.initialize")
        get_all = get_examples
        if corpus is not None:
            if nlp is None:
                raise ValueError(
                    "'corpus' reads examples for a pipeline. Expected: 'nlp', the pipeline. "
                    "Received: nlp=None"
                )
            get_all = partial(corpus, nlp)
        elif nlp is not None and nlp.config.interpolate()["training"]["max_epochs"] == -1:
            logger.warning(
                "The training corpus is streamed (max_epochs = -1): spaCy initializes %r with "
                "its first 100 examples, and the labels and n-gram counts come from these "
                "alone. Set 'corpus' in [initialize.components.%s] to learn them from more, "
                "as configs/default.cfg does.",
                self.name,
                self.name,
            )
        if labels is None:
            labels = [label for eg in get_all() for label in _labels_of(eg.reference)]
        for label in labels:
            _check_label(label)
        self._set_labels([*self.labels, *labels])
        if not self.labels:
            raise ValueError(Errors.E143.format(name=self.name))
        self.temperature = 1.0  # What was fitted was fitted to another network.
        self.model.set_dim("nO", len(self.tags), force=True)
        self._learn_lexicon(get_all)
        sample = [eg.predicted for eg in islice(get_examples(), 10) if len(eg.predicted)]
        self.model.initialize(X=sample or [Doc(self.vocab, words=["."])])
        if "settings" in self.model.attrs:
            self.cfg["network"] = self.model.attrs["settings"].of_weights

    def _learn_lexicon(self, get_examples: Callable[[], Iterable[Example]]) -> None:
        """Take from the examples what the network needs to know before it learns."""
        lexicon = self.model.maybe_get_ref("lexicon")
        settings = self.model.attrs.get("settings")
        learns_pos = getattr(settings, "pos_weight", 0) > 0
        self.cfg["pos"] = []
        if lexicon is None and not learns_pos:
            return
        pos: set[str] = set()

        def batches() -> Iterator[tuple[list[Doc], NDArray[np.int64]]]:
            # A few at a time: those of a streamed corpus need not fit in memory.
            for examples in minibatch(get_examples(), _COUNTED_AT_ONCE):
                for example in examples:
                    tags = np.unique(example.reference.to_array(TAG))
                    pos.update(example.reference.vocab.strings[tag] for tag in tags if tag)
                yield [example.predicted for example in examples], self._columns(examples)

        if lexicon is not None:
            lexicon_of(lexicon).learn(batches(), len(self.tags))
        else:
            deque(batches(), maxlen=0)
        if learns_pos:
            self.cfg["pos"] = sorted(pos)
            self.model.attrs["n_pos"] = len(self.cfg["pos"])

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch of examples.

        Tokens whose annotation is missing are summed over in the likelihood; a Doc
        without any gives no gradient.

        :param examples: the batch.
        :param drop: dropout rate.
        :param sgd: the optimizer; None or False only gathers the gradient.
        :param losses: the mean negative log-likelihood of an annotated Doc is added here.
        :raises ValueError: for an entity type that the component was not initialized with,
            an example that cannot be aligned, and where the loss or the gradient is not
            finite: the weights are left as they were.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "LSTMEntityRecognizer.update")
        gold = Gold(examples)
        targets = self._targets(examples, gold)
        if any(len(eg.predicted) for eg in examples):
            set_dropout_rate(self.model, drop)
            pos = self._pos(examples, gold) if self.cfg.get("pos") else None
            # Docs without annotation too: a listener is given vectors for the whole batch.
            annotated = Annotated(gold.text.docs, targets, pos, gold.text)
            factor = 1.0 / max(1, sum(not target.all() for target in targets))
            with naming_batch([eg.reference for eg in examples], self.name):
                loss, backprop = self.model.begin_update(annotated)
                check_finite("the loss", loss)
                backprop(factor)
                check_finite("the gradient", gradient_sum(self.model))
            losses[self.name] += loss * factor
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Potentials) -> tuple[float, Potentials]:
        """The loss of the model's output, and its gradient.

        It is the one that :meth:`update` reaches by a faster way, for those who chain the
        model: ``Y, backprop = model.begin_update(docs)``, then ``backprop`` of the gradient.

        :param scores: the model's output for the examples' ``predicted`` Docs.
        :raises ValueError: as :meth:`update` does.
        """
        examples = list(examples)
        validate_examples(examples, "LSTMEntityRecognizer.get_loss")
        targets = self._targets(examples)
        n_known = max(1, sum(not target.all() for target in targets))
        loss, d_emissions, d_transitions = crf.negative_log_likelihood(
            *scores, np.concatenate(targets)
        )
        with naming_batch([eg.reference for eg in examples], self.name):
            check_finite("the loss", loss)
            check_finite("the gradient", float(d_emissions.sum() + d_transitions.sum()))
        factor = np.float32(1 / n_known)
        gradient = Potentials(d_emissions * factor, d_transitions * factor, scores.lengths)
        return loss / n_known, gradient

    def _targets(
        self, examples: Sequence[Example], gold: Gold | None = None
    ) -> list[NDArray[np.bool_]]:
        """Which tags the annotation allows.

        :return: *Shape:* ``(n_tokens, n_tags)`` an example
        """
        columns = self._columns(examples, gold)
        annotated = np.flatnonzero(columns >= 0)
        allowed = np.ones((len(columns), len(self.tags)), bool)
        allowed[annotated] = False
        allowed[annotated, columns[annotated]] = True
        docs = [eg.predicted for eg in examples]
        # An annotated entity has ended where the next token of its Doc has no annotation.
        doc_of = np.repeat(np.arange(len(docs)), [len(doc) for doc in docs])
        ends = (columns[:-1] > 0) & (columns[1:] < 0) & (doc_of[:-1] == doc_of[1:])
        allowed[1:][ends, (columns[:-1][ends] + 1) // 2 * 2] = False
        return _split(allowed, docs)

    def _columns(self, examples: Sequence[Example], gold: Gold | None = None) -> NDArray[np.int64]:
        """The annotated tags of all examples' tokens, -1 where there is none.

        An entity that goes beyond its sentence begins anew in the next, as it is read.

        :raises ValueError: for an entity type that is not among :attr:`labels`, or an
            example that cannot be aligned.
        """
        gold = gold or Gold(examples)
        try:
            columns = gold.tags(self._label_hashes(), self._label_index())
        except KeyError as error:
            (label,) = error.args
            docs = [eg.reference for eg in examples]
            doc = next(doc for doc in docs if any(t.ent_type_ == label for t in doc))
            raise ValueError(
                f"The Doc that begins {beginning(doc)} has an entity of type {label!r}; "
                f"{self.name!r} was initialized for {', '.join(self.labels) or 'no labels'}. "
                "Initialize it with examples of all types or with initialize(labels=…), or take "
                "this type out of the examples."
            ) from None
        starts = np.cumsum(gold.text.lengths)[:-1]
        columns[starts] = begin_entity(columns[starts])
        return columns

    def _pos(
        self, examples: Sequence[Example], gold: Gold | None = None
    ) -> list[NDArray[np.int32]]:
        """The annotated part-of-speech tags, by their place in ``cfg["pos"]``; -1 for none."""
        tags = (gold or Gold(examples)).values(TAG)
        learnt = np.array([self.vocab.strings[name] for name in self.cfg["pos"]], np.uint64)
        is_tag = tags[:, None] == learnt
        columns = np.where(is_tag.any(axis=1), is_tag.argmax(axis=1), -1).astype(np.int32)
        return _split(columns, [eg.predicted for eg in examples])


def _labels_of(doc: Doc) -> set[str]:
    """The entity types of a Doc, each checked."""
    labels = {ent.label_ for ent in doc.ents}
    with naming(doc, "Reading the entity types of the examples"):
        for label in labels:
            _check_label(label)
    return labels


def _check_label(label: str) -> None:
    if not isinstance(label, str) or not label:
        raise ValueError(f"An entity type must be a non-empty string. Received: {label!r}")


def _checked_confidence(value: bool) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"'confidence' must be True or False. Received: {value!r}")
    return value


def _checked_threshold(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(
            f"'threshold' is a probability, from 0 to 1. Received: threshold={value!r}"
        )
    return float(value)


def _configs_of(component: LSTMEntityRecognizer) -> list[Config]:
    """The component's configs in the pipelines that hold it.

    It is given none of them: spaCy stores a config after its factory has returned, and shares
    a component with a pipeline that sources it. So they are looked for among all objects,
    which takes some tenths of a second at most, and only when a setting is set.
    """
    return [
        nlp.get_pipe_config(name)
        for nlp in gc.get_objects()
        if issubclass(type(nlp), Language)
        for name, pipe in nlp.components
        if pipe is component
    ]


def _split(array: NDArray, docs: Sequence[Doc]) -> list[NDArray]:
    return split(array, map(len, docs))


def _is_taken(iob: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether tokens are in an entity that is already there, or blocked for entities."""
    return (iob == ENT_IN) | (iob == ENT_BEGIN)
