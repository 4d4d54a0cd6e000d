"""A whole run, made up but plausible: the digits with a ResNet-20 teacher and a DS-CNN student."""

from __future__ import annotations

import math

import numpy as np

from edgekd.config.pipeline import Pipeline
from edgekd.quality.calibration import calibration
from edgekd.report.details import Details
from edgekd.results import (
    Accuracy,
    BenchFigures,
    BudgetFigures,
    Estimate,
    Latency,
    Machine,
    ModelFigures,
    ParityFigures,
    QualityFigures,
    SeedFigures,
    ShiftFigures,
    StageFigures,
    Summary,
    TeacherFigures,
)
from edgekd.statistics import wilson_interval
from edgekd.train.history import EpochRecord

TEST, VALIDATION = 360, 288
PARAMETERS = {"teacher": 272_186, "distill": 8_442, "prune": 6_106, "quantize": 6_106}
MACS = {"teacher": 2_551_498, "distill": 212_480, "prune": 118_272, "quantize": 118_272}
RIGHT = {"teacher": 356, "distill": 355, "prune": 354, "quantize": 355}
BYTES = {
    ("teacher", "torch"): 1_118_724,
    ("teacher", "onnx"): 1_104_310,
    ("teacher", "tflite"): 1_126_904,
    ("distill", "torch"): 41_204,
    ("prune", "torch"): 30_118,
    ("prune", "onnx"): 29_022,
    ("prune", "tflite"): 31_664,
    ("quantize", "torch"): 58_912,
    ("quantize", "onnx"): 21_870,
    ("quantize", "tflite"): 19_248,
}
P50 = {
    ("teacher", "onnxruntime", 1): 214.0,
    ("teacher", "onnxruntime", 2): 161.0,
    ("teacher", "litert", 1): 241.5,
    ("teacher", "litert", 2): 189.0,
    ("prune", "onnxruntime", 1): 38.2,
    ("prune", "onnxruntime", 2): 41.9,
    ("prune", "litert", 1): 24.6,
    ("prune", "litert", 2): 30.1,
    ("quantize", "onnxruntime", 1): 44.7,
    ("quantize", "onnxruntime", 2): 52.3,
    ("quantize", "litert", 1): 13.9,
    ("quantize", "litert", 2): 19.8,
}


def accuracy(right: int, n: int, runtime: str, split: str = "test") -> Accuracy:
    low, high = wilson_interval(right, n)
    return Accuracy(value=right / n, low=low, high=high, n=n, runtime=runtime, split=split)


def model(stage: str, form: str) -> ModelFigures:
    precision = "int8" if stage == "quantize" else "float32"
    runtime = {"torch": "torch", "onnx": "onnxruntime", "tflite": "litert"}[form]
    name = "teacher" if stage == "teacher" else "student"
    folder = "teacher-0f3a9c1b2d4e" if form == "torch" else "export-77aa01be93d2"
    ending = {"torch": "safetensors", "onnx": "onnx", "tflite": "tflite"}[form]
    validation = accuracy(
        round(RIGHT[stage] / TEST * VALIDATION), VALIDATION, runtime, "validation"
    )
    return ModelFigures(
        stage=stage,
        seed=0,
        format=form,
        precision=precision,
        path=f"{folder}/{name}-{stage}-{precision}.{ending}",
        bytes=BYTES[stage, form],
        parameters=PARAMETERS[stage],
        macs=MACS[stage],
        accuracy=accuracy(RIGHT[stage], TEST, runtime),
        validation=validation,
    )


def bench(stage: str, runtime: str, threads: int) -> BenchFigures:
    form = {"onnxruntime": "onnx", "litert": "tflite"}[runtime]
    file, p50 = model(stage, form), P50[stage, runtime, threads]
    return BenchFigures(
        model=file.path,
        stage=stage,
        seed=0,
        precision=file.precision,
        runtime=runtime,
        device="local",
        threads=threads,
        latency_us=Latency(
            p50=p50, p90=p50 * 1.09, p99=p50 * 1.62, mean=p50 * 1.04, std=p50 * 0.13, n=18_210
        ),
        load_ms=3.1 + file.bytes / 4e5,
        first_us=p50 * 9,
        peak_rss_bytes=58_000_000 + 4 * file.bytes,
        rss_growth_bytes=2_400_000 + 3 * file.bytes,
        bytes=file.bytes,
        accuracy=file.accuracy,
        warnings=["the processor's clock is not fixed: times vary"] if threads == 2 else [],
    )


def history(epochs: int, start: float, end: float, loss: float) -> list[EpochRecord]:
    """Curves that rise and fall as real ones do, with a fixed wobble."""
    records = []
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        wobble = 0.006 * math.sin(2.7 * epoch) * (1 - share)
        rise = 1 - math.exp(-6 * share)
        records.append(
            EpochRecord(
                epoch=epoch,
                loss=loss * math.exp(-3.2 * share) + 0.02 * loss * (1 + math.cos(epoch)),
                validation_loss=loss * math.exp(-3.0 * share),
                validation_accuracy=min(1.0, start + (end - start) * rise + wobble),
                learning_rate=2e-3 * (1 + math.cos(math.pi * share)) / 2,
                seconds=1.7,
                parts={"kd": loss * 0.8, "ce": loss * 0.2},
            )
        )
    return records


def confusion(errors: list[tuple[int, int]], classes: int = 10, each: int = 36) -> np.ndarray:
    matrix = np.diag(np.full(classes, each))
    for true, answer in errors:
        matrix[true, true] -= 1
        matrix[true, answer] += 1
    return matrix


def quality() -> list[QualityFigures]:
    """Teacher and student in two precisions; int8 is overconfident and loses with the contrast."""
    rng = np.random.default_rng(0)
    y = np.arange(TEST) % 10
    found = []
    for stage, precision, sharp, harm in (
        ("teacher", "float32", 6.0, 1),
        ("student", "float32", 5.0, 1),
        ("student", "int8", 12.0, 2),
    ):
        logits = rng.normal(0, 1, (TEST, 10)) + sharp * np.eye(10)[y] * (
            rng.random((TEST, 1)) < 0.97
        )
        rows = [
            ShiftFigures(
                shift=shift,
                severity=severity,
                unit=unit,
                score=accuracy(round(TEST * (0.95 - drop * harm)), TEST, "litert"),
                ece=0.1 * drop,
                agreement=1 - drop / 2,
            )
            for shift, severity, unit, drop in (
                ("noise", 0.05, "range", 0.02), ("noise", 0.2, "range", 0.2),
                ("brightness", -0.3, "range", 0.1), ("brightness", 0.3, "range", 0.05),
                ("contrast", 0.6, "contrast", 0.4),
            )
        ]  # fmt: skip
        mean = float(np.mean([row.score.value for row in rows]))
        found.append(
            QualityFigures(
                model=model("teacher" if stage == "teacher" else "quantize", "tflite").path,
                stage=stage,
                seed=0,
                precision=precision,
                runtime="litert",
                clean=accuracy(
                    RIGHT["teacher" if stage == "teacher" else "quantize"], TEST, "litert"
                ),
                shifted=Estimate(value=mean, low=mean - 0.02, high=mean + 0.02),
                retention=mean / found[0].shifted.value if found and found[0].shifted else None,
                calibration=calibration(logits, y, (logits, y), 0),
                shifts=rows,
            )
        )
    return found


STAGES = [
    ("data", "5b0c9d1e7f22", True, 0.3, []),
    ("teacher", "0f3a9c1b2d4e", True, 68.4, []),
    ("softlabels", "a81c55d0be17", True, 2.2, []),
    ("check", "6c1d0a9be2f4", True, 0.2, []),
    ("distill", "c2d4e6f80a1b", False, 24.9, []),
    ("prune", "91b7d3f5a7c9", False, 11.8, ["the last block keeps 8 channels: it cannot be less"]),
    ("quantize", "3e5a7c9b1d2f", False, 31.5, []),
    ("export", "77aa01be93d2", False, 41.0, []),
    ("bench", "d0e1f2a3b4c5", False, 72.6, []),
]


def example_summary() -> Summary:
    """Teacher in three formats; student distilled, pruned, int8; two runtimes, 1 and 2 threads."""
    settings = Pipeline.model_validate(
        {"name": "digits", "prune": True, "quantize": "qat", "budget": {"size": "40 kB"}}
    ).model_dump(mode="json")
    rates = [("float32", 3e-5, 0.002), ("int8", 1.0, 1.0)]
    return Summary(
        pipeline="digits",
        seed=0,
        seeds=[0],
        date="2026-11-24T10:12:09Z",
        settings=settings,
        versions={
            "python": "3.11.7",
            "edgekd": "0.1.0",
            "torch": "2.13.0+cpu",
            "torchao": "0.18.0",
            "litert-torch": "0.10.0",
            "ai-edge-litert": "2.3.0",
            "onnx": "1.23.2",
            "onnxruntime": "1.32.0",
            "numpy": "2.4.6",
        },
        machine=Machine(
            system="Linux 6.1 x86_64",
            processor="Intel(R) Xeon(R) Processor @ 2.60GHz",
            cores=2,
            memory_bytes=8_244_000_000,
            instructions=["avx2", "avx512f", "avx512_vnni", "avx512_bf16"],
        ),
        stages=[
            StageFigures(
                name=name, key=key, cached=cached, seconds=s, folder=f"{name}-{key}", warnings=w
            )
            for name, key, cached, s, w in STAGES
        ],
        models=[model(stage, form) for stage, form in BYTES],
        parity=[
            ParityFigures(
                stage=stage,
                seed=0,
                precision=precision,
                pair=f"torch/{runtime}",
                agreement=1.0,
                near_ties=2 if precision == "int8" else 0,
                max_steps=rates[precision == "int8"][2],
                within_one_step=1.0,
                n=288,
            )
            for stage, precision in (("prune", "float32"), ("quantize", "int8"))
            for runtime in ("onnxruntime", "litert")
        ],
        bench=[bench(*key) for key in P50],
        quality=quality(),
        teachers=[
            TeacherFigures(
                stage="teacher",
                seed=0,
                validation=accuracy(285, VALIDATION, "torch", "validation"),
                ece=0.011,
                ece_by_chance=0.019,
                confidence=0.981,
                temperature=4.0,
                entropy=0.412,
                outside=0.231,
                wrong=0.002,
                n=1149,
            )
        ],
        budget=[
            BudgetFigures(name="size", limit=40_000, value=19_248, unit="bytes", ok=True),
            BudgetFigures(name="accuracy", limit=0.97, value=355 / 360, unit="fraction", ok=True),
            BudgetFigures(
                name="accuracy below the teacher",
                limit=0.01,
                value=1 / 360,
                unit="fraction",
                ok=True,
            ),
            BudgetFigures(
                name="latency p50 on local, 1 thread", limit=12.0, value=13.9, unit="us", ok=False
            ),
        ],
    )


def example_seeds() -> list[SeedFigures]:
    return [
        SeedFigures(name="test accuracy of teacher, torch", mean=0.987, low=0.982, high=0.992, n=3),
        SeedFigures(name="test accuracy of final, litert", mean=0.984, low=0.977, high=0.991, n=3),
        SeedFigures(name="size of final, tflite", mean=19_250, low=19_240, high=19_260, n=3),
    ]


def example_details() -> Details:
    """Curves of four trainings, and confusions that agree with the summary's accuracies."""
    return Details(
        histories={
            "teacher": history(40, 0.35, 0.993, 1.1),
            "distill": history(40, 0.30, 0.986, 7.5),
            "prune": history(15, 0.955, 0.985, 1.4),
            "quantize": history(10, 0.972, 0.986, 0.9),
        },
        confusion={
            "teacher": confusion([(8, 1), (3, 5), (9, 5), (4, 7)]),
            "student": confusion([(8, 1), (8, 2), (9, 5), (4, 7), (1, 8)]),
        },
        labels=(*(f"digit {i}" for i in range(9)), "nine <script>"),
        warnings=["the test set has 360 samples: the accuracy's interval is ± 1.2 points wide"],
        samples={"train": 1149, "validation": VALIDATION, "test": TEST},
        networks={"teacher": "resnet20", "student": "dscnn x 0.5"},
    )
