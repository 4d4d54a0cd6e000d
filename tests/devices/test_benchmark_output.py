"""benchmark_model's output in the forms that its README, its source and its logs show."""

from __future__ import annotations

import pytest

from edgekd.devices.android_tool import as_result
from edgekd.devices.benchmark_output import Runs, read_output
from edgekd.errors import StageError

HEAD = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [40]
INFO: Num threads: [4]
INFO: Graph: [/data/local/tmp/edgekd/files/0a1b.tflite]
INFO: #threads used for CPU inference: [4]
INFO: Loaded model /data/local/tmp/edgekd/files/0a1b.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 1.25
INFO: Initialized session in 12.345ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
"""
WARM = "INFO: count=70 first=9001 curr=6801 min=6001 max=9001 avg=7100.5 std=650"
RUNS = "INFO: count=41 first=6400 curr=6500 min=6100 max=8200 avg=6480.25 std=310"
PERCENTILES = " p5=6120 median=6410 p95=7900"
TAIL = """
INFO: Inference timings in us: Init: 12345, First inference: 9001, Warmup (avg): 7100.5, \
Inference (avg): 6480.25
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only \
APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your \
discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=8.5 overall=10.25
"""
WHOLE = f"{HEAD}{WARM}{PERCENTILES}\n\n{RUNS}{PERCENTILES}\n{TAIL}"
TABLES = """INFO: Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t\
[Name]
\t ModifyGraphWithDelegate\t   14.000\t   14.000\t 99.000%\t 99.000%\t  3400.000\t        1\t\
ModifyGraphWithDelegate/0

Number of nodes executed: 1
Timings (microseconds): count=1 curr=14000
Memory (bytes): count=0
1 nodes observed



INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t\
[Name]
\tConvolution (NHWC, QC8) IGEMM\t    0.267\t    0.250\t 71.429%\t 71.429%\t     0.000\t        1\t\
Delegate/Convolution (NHWC, QC8) IGEMM:0
\t   Fully Connected (NC, QS8)\t    0.060\t    0.050\t 28.571%\t100.000%\t     0.000\t        2\t\
[model/a b;model/c]:7

============================== Top by Computation Time ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t\
[Name]
\tConvolution (NHWC, QC8) IGEMM\t    0.267\t    0.250\t 71.429%\t 71.429%\t     0.000\t        1\t\
Delegate/Convolution (NHWC, QC8) IGEMM:0

Number of nodes executed: 2
============================== Summary by node type ==============================
\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t\
[times called]
\tConvolution (NHWC, QC8) IGEMM\t        1\t     0.250\t    71.429%\t    71.429%\t     0.000\t\
        1

Timings (microseconds): count=41 first=380 curr=350 min=340 max=400 avg=350 std=9
"""
OLDEST = """
============================== Run Order ==============================
\t             [node type]\t  [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t\
[times called]\t[Name]
\t                 CONV_2D\t    0.000\t    4.300\t    4.250\t  0.100%\t  0.100%\t     0.000\t\
        0\t[Net/Conv/Relu6]
\t                 SOFTMAX\t   79.443\t    0.029\t    0.030\t  0.001%\t  1.993%\t     0.000\t\
        0\t[Net/Softmax]
"""


def read(text: str, code: int = 0):
    return read_output(text, code, "a.tflite on phone")


def test_the_figures_are_those_of_the_measured_runs():
    found = read(WHOLE)
    assert found.runs == Runs(41, 6400, 6500, 6100, 8200, 6480.25, 310, 6410, 6120, 7900)
    assert (found.warmup.n, found.warmup.mean) == (70, 7100.5)
    assert (found.init_us, found.first_us) == (12345, 9001)
    assert (found.init_bytes, found.overall_bytes) == (8.5 * 2**20, 10.25 * 2**20)
    assert found.peak_bytes is None and found.operators == []
    made = as_result(found, "a.tflite")
    assert made["load_ms"] == 12.345 and made["ends_us"] == [6400, 6500]
    known = {name for name, value in made["latency_us"].items() if value is not None}
    assert known == {"p50", "p95", "mean", "std", "min", "max", "n"}


@pytest.mark.parametrize("prefix", ["", "INFO: ", "07-14 13:14:56.520 22838 22838 I tflite  : "])
def test_what_a_log_adds_does_not_matter(prefix):
    text = WHOLE.replace("INFO: ", prefix)
    assert read(text) == read(WHOLE) == read(text.replace("\n", "\r\n"))


@pytest.mark.parametrize("percentiles", ["", " p5=30 median=30 p95=30"])
def test_runs_that_all_took_as_long(percentiles):
    same = f"INFO: count=10 curr=30(all same){percentiles}"
    one = f"INFO: count=1 curr=3512391{percentiles.replace('30', '3512391')}"
    found = read(f"{HEAD}{one}\n\n{same}\n{TAIL}")
    for runs, count, us in ((found.warmup, 1, 3512391), (found.runs, 10, 30)):
        assert runs == Runs(count, us, us, us, us, us, 0, us, us, us)


def test_a_large_mean_is_written_with_an_exponent():
    line = "INFO: count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=1"
    assert read(f"{HEAD}{WARM}\n\n{line}\n{TAIL}").runs.mean == 2.95034e6


def test_words_that_look_like_numbers_are_none():
    said = "INFO: mode=easy kind=... level=-\n"
    assert read(said + WHOLE) == read(WHOLE)


def test_peak_memory():
    peak = "INFO: Overall peak memory footprint (MB) via periodic monitoring: 12.5\n"
    assert read(WHOLE + peak).peak_bytes == 12.5 * 2**20


def test_the_table_of_the_measured_runs():
    one, other = read(WHOLE + TABLES).operators
    assert (one.op, one.us, one.calls) == ("Convolution (NHWC, QC8) IGEMM", 250, 1)
    assert one.name == "Delegate/Convolution (NHWC, QC8) IGEMM:0"
    assert (other.name, other.us, other.calls) == ("[model/a b;model/c]:7", 100, 2)


def test_the_oldest_table():
    rows = read(WHOLE + OLDEST).operators
    assert [(row.op, row.us, row.name) for row in rows] == [
        ("CONV_2D", 4250, "[Net/Conv/Relu6]"),
        ("SOFTMAX", 30, "[Net/Softmax]"),
    ]


def test_an_old_tool_has_no_median():
    found = read(f"{HEAD}{WARM}\n\n{RUNS}\n{TAIL}")
    assert found.runs.p50 is None
    with pytest.raises(StageError, match="too old: it tells no median"):
        as_result(found, "a.tflite")


@pytest.mark.parametrize(
    ("text", "code", "what", "where"),
    [
        ("INFO: x\nERROR: Op #0 is unknown\nBenchmarking failed.\n", 1, "exit code 1", "Op #0"),
        (HEAD, 137, "killed by SIGKILL", "Initialized session"),
        ("sh: ./x: not executable: 64-bit ELF file\n", 126, "exit code 126", "64-bit ELF"),
        (WHOLE.replace("Memory footprint", "Memory"), 0, "form that is not known", "Inference"),
        (WHOLE.replace(f"{RUNS}{PERCENTILES}", ""), 0, "form that is not known", "Inference"),
    ],
)
def test_what_went_wrong_is_told(text, code, what, where):
    with pytest.raises(StageError, match=what) as caught:
        read(text, code)
    assert where in caught.value.where
