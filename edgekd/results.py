"""The figures of a run: the schema of `summary.json`, which `edgekd schema result` prints."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Figures(BaseModel):
    """Base of all figures. Other programs read them, so fields are only ever added."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Accuracy(Figures):
    """The headline score of a task with its 95 % interval: Wilson's (1927) for the accuracy, the
    bootstrap's for the others."""

    value: float
    """Right answers by all answers, or what else `metric` names; 1 is the best."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Samples."""
    runtime: str
    """What computed the answers: torch, onnxruntime or litert."""
    split: str
    """validation or test."""
    metric: str = "accuracy"
    """accuracy (classification, binary), macro_f1 (multilabel) or r2 (regression)."""


class MetricFigures(Figures):
    """One metric of a model on one split, with its 95 % interval."""

    name: str
    """Such as "macro_f1", "roc_auc" or "mae"."""
    value: float
    """A share or a score, or a number in the targets' raw units."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Samples."""
    runtime: str
    """What computed the answers: torch, onnxruntime or litert."""
    split: str
    """validation or test."""
    target: str = ""
    """The label or target that it is about; empty for all together."""
    unit: str = "fraction"
    """fraction, or raw: the targets' own units, of which less is better."""


class ModelFigures(Figures):
    """One model, as it left a stage, in one format."""

    stage: str
    """The stage that made it, such as "teacher"; the export of the teacher counts as teacher's."""
    seed: int
    """The seed of its run."""
    format: str
    """torch, onnx or tflite."""
    precision: str
    """float32 or int8."""
    path: str
    """The file, relative to the run folder."""
    bytes: int
    """Size of the file."""
    parameters: int
    """Trainable numbers of the network."""
    macs: int
    """Multiply-accumulates of one inference."""
    accuracy: Accuracy | None = None
    """On the test set."""
    validation: Accuracy | None = None
    """On the validation set."""
    metrics: list[MetricFigures] = []
    """Every metric of the task on the test set; an exported file's are measured in its runtime."""


class ParityFigures(Figures):
    """How far two runtimes agree on the same samples."""

    stage: str
    """The stage whose model was exported."""
    seed: int
    """The seed of its run."""
    precision: str
    """float32 or int8."""
    pair: str
    """The two, such as "torch/litert"."""
    agreement: float
    """Share of samples with the same answer, near-ties not counted: the same class, the same set of
    labels, or numbers within 2 quantization steps."""
    near_ties: int
    """Samples whose answer rounding alone may turn, left out of `agreement`: their two best classes
    lie within 2 quantization steps, or, label by label, a logit so near to 0."""
    max_steps: float
    """Largest difference of an output, in steps of the int8 output (float32: of the same scale)."""
    within_one_step: float
    """Share of outputs that differ by at most one step."""
    n: int
    """Samples."""


class Latency(Figures):
    """Distribution of the time of one inference, in microseconds."""

    p50: float
    """Median."""
    p90: float
    """90th percentile."""
    p99: float
    """99th percentile."""
    mean: float
    """Arithmetic mean."""
    std: float
    """Standard deviation."""
    n: int
    """Measured runs."""


class BenchFigures(Figures):
    """One file measured in one runtime on one device with one thread count."""

    model: str
    """The file, relative to the run folder."""
    stage: str
    """The stage whose model it is."""
    seed: int
    """The seed of its run."""
    precision: str
    """float32 or int8."""
    runtime: str
    """onnxruntime or litert."""
    device: str
    """The device profile's name."""
    threads: int
    """Threads that the runtime was given."""
    latency_us: Latency
    """Batch 1, after the warm-up."""
    load_ms: float
    """Reading the file until it can run."""
    first_us: float
    """The first inference."""
    peak_rss_bytes: int
    """Largest resident memory of the measuring process."""
    rss_growth_bytes: int
    """Of that, what loading and running the model added."""
    bytes: int
    """Size of the file."""
    accuracy: Accuracy | None = None
    """The headline score, measured in this runtime; absent where the data is not known."""
    metrics: list[MetricFigures] = []
    """Every metric of the task, likewise."""
    warnings: list[str] = []
    """What makes the figures doubtful, such as an unstable clock."""


class BudgetFigures(Figures):
    """A limit and what was reached; over several seeds, the mean."""

    name: str
    """Such as "size" or "latency p50 on local, 1 thread"."""
    limit: float
    """In the base unit of `unit`."""
    value: float
    """What was reached."""
    unit: str
    """bytes, fraction, us, score (R², 1 is the best) or raw (the targets' own units)."""
    ok: bool
    """Whether the limit is kept."""


class StageFigures(Figures):
    """A stage of the run."""

    name: str
    """The node, such as "distill" or, in a run over several seeds, "distill@1"."""
    key: str
    """The artefact's key."""
    cached: bool
    """Whether the artefact was found finished."""
    seconds: float
    """Time that making the artefact took, whenever that was."""
    folder: str
    """The artefact's folder, relative to the run folder."""
    warnings: list[str] = []
    """What the user should know."""


class Machine(Figures):
    """The machine that ran the pipeline."""

    system: str
    """Operating system and version."""
    processor: str
    """Model name."""
    cores: int
    """Logical processors that this process may use."""
    memory_bytes: int
    """Main memory."""
    instructions: list[str]
    """Vector instruction sets that decide kernels and rounding, such as avx512_vnni."""


class SeedFigures(Figures):
    """Mean over the seeds with the 95 % interval of Student's t."""

    name: str
    """Such as "test accuracy of teacher, torch"."""
    mean: float
    """Arithmetic mean."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Seeds."""


class Summary(Figures):
    """Everything that a run found out."""

    pipeline: str
    """The pipeline's name."""
    seed: int
    """The first seed."""
    seeds: list[int]
    """All seeds."""
    date: str
    """When the run ended, ISO 8601, UTC."""
    settings: dict[str, Any]
    """The pipeline with every default written out."""
    versions: dict[str, str]
    """Of Python, edgekd and the libraries that compute."""
    machine: Machine
    """Where the pipeline ran."""
    stages: list[StageFigures]
    """In the order of the run."""
    models: list[ModelFigures]
    """Every model of the run."""
    parity: list[ParityFigures]
    """Agreement of the runtimes."""
    bench: list[BenchFigures]
    """Measurements."""
    budget: list[BudgetFigures]
    """Verdicts."""
    over_seeds: list[SeedFigures] = []
    """Means, where the run has several seeds."""
