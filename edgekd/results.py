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
    """torch, onnx, ort or tflite."""
    precision: str
    """float32 or int8; of a file also float16, int8-dynamic, int8-weights or int16x8."""
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
    """Largest difference of an output, in steps of the int8 output (others: of the same scale)."""
    within_one_step: float
    """Share of outputs that differ by at most one step."""
    n: int
    """Samples."""


class Latency(Figures):
    """Distribution of the time of one inference, in microseconds."""

    p50: float
    """Median; of several processes of `benchmark_model`, which tells no single times, the median of
    theirs."""
    p90: float | None
    """90th percentile; null of `benchmark_model`, which tells the 95th alone."""
    p99: float | None
    """99th percentile; likewise."""
    mean: float
    """Arithmetic mean."""
    std: float
    """Standard deviation."""
    n: int
    """Measured runs."""
    p95: float | None = None
    """95th percentile."""
    min: float | None = None
    """The fastest run."""
    max: float | None = None
    """The slowest run."""
    mad: float | None = None
    """Median absolute deviation from the median."""
    outliers: int | None = None
    """Runs beyond a process's quartiles by three times the range between them (Tukey 1977, "far
    out"). They are part of all figures."""
    p50_low: float | None = None
    """Lower end of the bootstrap's 95 % interval of the median: over processes and runs, or, of one
    process, over its runs alone."""
    p50_high: float | None = None
    """Upper end."""


class OperatorFigures(Figures):
    """One operator of a file, as the runtime's profiler saw it."""

    name: str
    """The node's, as the runtime fused it."""
    op: str
    """Its type, such as Conv."""
    us: float
    """Mean time of a call in microseconds, without the slowest tenth of the calls, the profiler's
    own cost included."""
    calls: int
    """Calls that the profiler saw."""


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
    """onnxruntime or litert; in a browser onnxruntime-web or litert.js."""
    device: str
    """The device profile's name."""
    threads: int
    """Threads that the runtime was given; 0 on a graphics processor, by WebGPU."""
    latency_us: Latency | None
    """Batch 1, after the warm-up; null of an emulated device, which has no times of its own."""
    load_ms: float | None
    """Reading the file until it can run; likewise."""
    first_us: float | None
    """The first inference; likewise."""
    peak_rss_bytes: int
    """Largest resident memory of the measuring process; in a browser the runtime's WebAssembly
    memory."""
    rss_growth_bytes: int
    """Of that, what loading and running the model added."""
    bytes: int
    """Size of the file."""
    accuracy: Accuracy | None = None
    """The headline score, measured in this runtime; absent where the data is not known."""
    metrics: list[MetricFigures] = []
    """Every metric of the task, likewise."""
    same_answers: int | None = None
    """Of a device that is not this machine: on how many of the accuracy's samples the file answers
    there as it does here. Absent of a regression."""
    warnings: list[str] = []
    """What makes the figures doubtful, such as an unstable clock."""
    processes: int = 1
    """Processes that measured it one after the other."""
    energy_uj: float | None = None
    """Microjoules of the whole processor an inference, where it counts them (RAPL)."""
    emulated: str | None = None
    """Of an emulated device: the processor that it is, such as cortex-a72."""
    instructions: int | None = None
    """Instructions of an inference, the median of several; only an emulated device counts them."""
    disturbed: list[str] = []
    """Of the warnings, what measuring again may mend: other programs, throttling, drift."""
    profile: list[OperatorFigures] | None = None
    """Time by operator, from a process of its own, where it was asked for and the runtime tells."""
    profile_note: str = ""
    """Why there is none."""

    @property
    def p50_us(self) -> float | None:
        """The median in microseconds, None where there are no times."""
        return None if self.latency_us is None else self.latency_us.p50


class Estimate(Figures):
    """A figure with its 95 % interval."""

    value: float
    """The estimate."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


class ReliabilityBin(Figures):
    """The answers whose confidence lies between two limits."""

    low: float
    """Confidences above this ..."""
    high: float
    """... up to this."""
    n: int
    """Answers."""
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """The share of them that is right."""


class CalibrationFigures(Figures):
    """Whether a classifier's probabilities say how often it is right; on the test set."""

    n: int
    """Samples."""
    ece: Estimate
    """Expected calibration error, 15 bins of equal width (Guo et al. 2017, equation 3)."""
    ece_by_chance: float
    """What a perfectly calibrated model stays below 19 times of 20 with so many samples."""
    ece_equal_mass: Estimate
    """The same with bins of equally many samples."""
    brier: Estimate
    """Mean over samples of the squared error of all probabilities, 0 to 2 (Brier 1950)."""
    nll: Estimate
    """Negative log-likelihood of the true class, in nats."""
    confidence: float
    """Mean probability of the answer; above `accuracy`, the model is overconfident."""
    accuracy: float
    """Share of right answers."""
    temperature: float | None = None
    """What the logits are to be divided by, fitted on validation; absent where none fits."""
    ece_at_temperature: float | None = None
    """The calibration error with that temperature, on the test set."""
    bins: list[ReliabilityBin] = []
    """The reliability diagram; empty bins are left out."""


class ShiftFigures(Figures):
    """A model on shifted samples."""

    shift: str
    """noise, blur, brightness, contrast or gain."""
    severity: float
    """In `unit`."""
    unit: str
    """range (share of black to white), px, contrast (share lost), dB, dB SNR, std (deviations)."""
    score: Accuracy
    """The task's headline score."""
    ece: float | None = None
    """Expected calibration error of a classifier's answers."""
    agreement: float | None = None
    """Share of a classifier's answers that are those of the student's float32 file."""

    @property
    def extent(self) -> str:
        """The severity for a reader: "10 %", "−20 dB", "1.5 px"."""
        signed = self.shift in ("brightness", "gain")
        percent = self.unit in ("range", "contrast")
        number = f"{self.severity * (100 if percent else 1):{'+' if signed else ''}.4g}"
        unit = {"range": "%", "contrast": "%", "dB SNR": "dB", "std": "σ"}.get(self.unit, self.unit)
        return f"{number} {unit}".replace("-", "−")


class TeacherFigures(Figures):
    """What a teacher is worth as a teacher: how good it is, and what its soft targets say."""

    stage: str
    """Whose answers they are: "teacher"."""
    seed: int
    """The seed of its run."""
    validation: Accuracy | None = None
    """The headline score on the validation set."""
    ece: float | None = None
    """Of a classifier: expected calibration error on validation, 15 bins of equal width."""
    ece_by_chance: float | None = None
    """What a perfectly calibrated teacher stays below 19 times of 20 with so many samples."""
    confidence: float | None = None
    """Mean probability of the answer on validation; above the accuracy, it is overconfident."""
    temperature: float | None = None
    """At which the soft targets were looked at: the method's."""
    entropy: float | None = None
    """Mean entropy of the soft targets of the training samples, as a share of the largest: 0 says
    no more than a label, 1 nothing at all."""
    outside: float | None = None
    """Mean probability outside the top class of the soft targets."""
    wrong: float | None = None
    """Share of training samples whose top class is not their label."""
    n: int = 0
    """Training samples."""


class QualityFigures(Figures):
    """One deployed file beyond its accuracy: calibration, and robustness to shifts."""

    model: str
    """The file, relative to the run folder."""
    stage: str
    """teacher or student."""
    seed: int
    """The seed of its run."""
    precision: str
    """float32 or int8."""
    runtime: str
    """What computed the answers: litert, onnxruntime, or torch where there is no file."""
    clean: Accuracy
    """On the samples that were shifted, as they were before."""
    shifted: Estimate | None = None
    """Mean score over the shifts, each the mean over its severities."""
    retention: float | None = None
    """Of a student: `shifted` by the teacher's."""
    calibration: CalibrationFigures | None = None
    """Of a classifier."""
    shifts: list[ShiftFigures] = []
    """Every shift and severity."""


class RetentionFigures(Figures):
    """What a form of the student kept of the teacher, on the test set, as PyTorch answers."""

    stage: str
    """The stage that left it so: teacher (for comparison), distill, finetune, prune, quantize, and
    the same of the control arm, such as control-distill."""
    seed: int
    """The seed of its run."""
    precision: str
    """float32 or int8."""
    score: Accuracy
    """The task's headline score."""
    retention: float | None = None
    """The score by the teacher's; absent where the teacher's is not above 0."""
    agreement: float | None = None
    """Share of the teacher's answers that it gives too: the same class, or of several labels the
    share of single decisions; absent for a regression."""
    agreement_low: float | None = None
    """Lower end of the 95 % interval (Wilson)."""
    agreement_high: float | None = None
    """Upper end."""
    divergence: float | None = None
    """Mean KL divergence of its probabilities from the teacher's at temperature 1, in nats; of
    classes only."""
    ece: float | None = None
    """Expected calibration error, 15 bins; of classes only."""
    step: Estimate | None = None
    """What the score changed against the form before it, with the 95 % interval that is paired by
    test sample."""
    train: Accuracy | None = None
    """The score on training samples as they are, without variations; of the teacher and of the
    distilled student."""
    train_divergence: float | None = None
    """The mean KL divergence on these samples; of classes only."""
    train_information: float | None = None
    """Of the teacher: the mean KL divergence of its answers to these samples from their mean, in
    nats; what an answer that is the same for all samples would miss."""
    per_class: list[float | None] = []
    """The recall of each class, or F1 of each label; None for one without test samples. Empty for
    a regression."""


class GainFigures(Figures):
    """What the teacher brought: the student's score less that of the same student trained without
    it, by the same steps from the same first weights."""

    stage: str
    """Such as "distill"."""
    seed: int | None
    """The seed of its run; None for the mean over all seeds."""
    precision: str
    """float32 or int8."""
    metric: str
    """The task's headline score."""
    student: float
    """With the teacher."""
    control: float
    """Without."""
    gain: float
    """Their difference."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    n: int
    """Test samples, or seeds."""
    over: str
    """What the interval is over: "samples" (paired) or "seeds" (Student's t of the differences)."""

    @property
    def verdict(self) -> str:
        """gain, loss, or none where the interval holds 0."""
        if self.low > 0:
            return "gain"
        return "loss" if self.high < 0 else "none"


class LayerFigures(Figures):
    """What one layer of an int8 network loses; see `edgekd.compress.diagnose`."""

    seed: int
    """The seed of its run."""
    name: str
    """The module's path, or the operator's name in the exported graph: what `keep_float` takes."""
    operator: str
    """Such as "conv2d"; "input" and "output" where only what enters the network, or leaves a float
    layer, is rounded."""
    sqnr_db: float | None
    """Signal-to-quantization-noise ratio of its output with the whole network in int8, in decibels;
    None where int8 changes nothing."""
    cosine: float
    """Cosine similarity of its output in float and in int8."""
    share: float
    """Of the final error: the squared error of the network's outputs with only this layer in int8,
    over the sum of that of all layers."""
    samples: int
    """Validation samples that it was measured on."""
    kept: tuple[str, ...] = ()
    """Layers of this network that stay float."""


class TuningFigures(Figures):
    """One short training of the search for temperature and weight."""

    seed: int
    """The seed of the run that it was done in; rounds add their number to it."""
    round: int
    """From 0; later rounds try fewer settings for longer."""
    epochs: int
    """How long it was trained."""
    temperature: float | None
    """What was tried; None where it is not searched."""
    weight: float | None
    """Likewise."""
    metric: str
    """The task's headline score."""
    score: float
    """On validation, the mean over the last quarter of its epochs."""
    loss: float
    """Likewise, the loss with the labels."""
    default: bool
    """Whether it is what the method has without a search."""
    chosen: bool
    """Whether it was taken, by this trial."""
    setting: str
    """What was taken in the end, as an override."""


class AdviceFigures(Figures):
    """One thing that limits the student, and what to try about it."""

    limit: str
    """teacher, control, capacity gap, capacity, data, temperature, epochs, pruning, quantizer or
    none."""
    finding: str
    """What was found, in a sentence with its numbers."""
    evidence: dict[str, float]
    """The numbers that the rule looked at, by name."""
    stake: float
    """How much score is at stake, as far as it can be told: the most comes first."""
    advice: str
    """What to do, in a sentence."""
    setting: str | None = None
    """The same as an override: `edgekd run FILE --set SETTING`."""


class CandidateFigures(Figures):
    """A student that a search looked at."""

    candidate: str
    """The network and its width, such as "dscnn x 0.5"."""
    fits: bool
    """Whether its untrained int8 file keeps the objective; only then it is trained."""
    reasons: list[str] = []
    """Why it does not."""
    bytes: int | None = None
    """Size of the untrained file; absent where its weights alone were too large."""
    p50_us: float | None = None
    """Median latency of the untrained file, where the objective looks."""
    parameters: int | None = None
    """Trainable numbers."""
    macs: int | None = None
    """Multiply-accumulates of one inference."""
    accuracy: Accuracy | None = None
    """The headline score of the trained int8 TFLite file on the test set, in LiteRT."""
    validation: float | None = None
    """Of the trained student on the validation set; over several seeds, the mean."""
    trained_bytes: int | None = None
    """Size of the trained file."""
    trained_p50_us: float | None = None
    """Median latency of the trained file, measured as the untrained one was."""
    front: bool = False
    """No other trained candidate is as right, as small and as fast, and better in one of them."""
    chosen: bool = False
    """Whether it is the run's student: the best on validation."""
    folders: list[str] = []
    """Artefacts of its run."""


class BudgetFigures(Figures):
    """A limit and what was reached; over several seeds, the mean."""

    name: str
    """Such as "size" or "latency p50 on local, 1 thread"."""
    limit: float
    """In the base unit of `unit`."""
    value: float | None
    """What was reached; null where it could not be measured: the limit is then unverified."""
    unit: str
    """bytes, fraction, us, score (R², 1 is the best) or raw (the targets' own units)."""
    ok: bool
    """Whether the limit is kept; of an unverified one it is false."""

    @property
    def verdict(self) -> str:
        """kept, missed or unverified."""
        if self.value is None:
            return "unverified"
        return "kept" if self.ok else "missed"


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
    quality: list[QualityFigures] = []
    """Calibration and robustness of the deployed files."""
    teachers: list[TeacherFigures] = []
    """What the teachers are worth as teachers."""
    retention: list[RetentionFigures] = []
    """What every form of the student kept of the teacher."""
    layers: list[LayerFigures] = []
    """What each layer of the int8 network loses."""
    gain: list[GainFigures] = []
    """What the teacher brought, where the pipeline has a control arm; once a seed and, of several,
    over them."""
    tuning: list[TuningFigures] = []
    """What the search for temperature and weight tried, where one is `auto`."""
    advice: list[AdviceFigures] = []
    """What limits the student of the first seed, the most important first."""
    over_seeds: list[SeedFigures] = []
    """Means, where the run has several seeds."""
    search: list[CandidateFigures] = []
    """Students that were looked at; empty without `student.search`."""

    def stage(self, name: str) -> StageFigures | None:
        """The stage of the first seed that has this name."""
        wanted = (name, f"{name}@{self.seed}")
        return next((stage for stage in self.stages if stage.name in wanted), None)
