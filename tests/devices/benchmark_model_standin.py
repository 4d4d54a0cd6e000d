#!/usr/bin/python3
# Answers as TFLite's benchmark_model does, in the form that its README and its source show. It is
# no runtime: a run is a hash of the file, and takes as long as that takes.
import hashlib
import os
import resource
import statistics
import sys
import time

flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
known = {"num_runs": 50, "min_secs": 1, "max_secs": 150, "warmup_runs": 1, "warmup_min_secs": 0.5}
number = {name: float(flags[name]) if name in flags else value for name, value in known.items()}
with open("/data/local/tmp/started", "a", encoding="ascii") as log:
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    log.write(f"{cores} {' '.join(sorted(flags))}\n")


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def stat(us):
    spread = (
        f"curr={us[-1]}" + "(all same)" * (len(us) > 1)
        if min(us) == max(us)
        else f"first={us[0]} curr={us[-1]} min={min(us)} max={max(us)} "
        f"avg={statistics.fmean(us):g} std={statistics.pstdev(us):.0f}"
    )
    p5, median, p95 = (sorted(us)[len(us) * p // 100] for p in (5, 50, 95))
    return f"INFO: count={len(us)} {spread} p5={p5} median={median} p95={p95}\n"


def table(rows):
    print("============================== Run Order ==============================")
    head = ("node type", "first", "avg ms", "%", "cdf%", "mem KB", "times called", "Name")
    print("\t", "\t".join(f"[{name}]" for name in head))
    for op, ms, name in rows:
        times = f"{ms:9.3f}\t{ms:9.3f}"
        print(f"\t{op:>40}\t{times}\t 50.000%\t100.000%\t    0.000\t        1\t{name}")
    print()


def runs(least, seconds):
    print(
        f"INFO: Running benchmark for at least {least:g} iterations and at least {seconds:g} "
        f"seconds but terminate if exceeding {number['max_secs']:g} seconds."
    )
    us, begin = [], time.perf_counter()
    while len(us) < least or time.perf_counter() - begin < seconds:
        start = time.perf_counter_ns()
        hashlib.sha256(content).digest()
        us.append((time.perf_counter_ns() - start) // 1000)
    print(stat(us))
    return us


print("INFO: STARTING!")
print(f"INFO: Graph: [{flags['graph']}]")
before, begin = memory(), time.perf_counter_ns()
with open(flags["graph"], "rb") as file:
    content = file.read()
if content[4:8] != b"TFL3":
    print("ERROR: The model is not a valid Flatbuffer buffer", file=sys.stderr)
    print("ERROR: Failed to load model " + flags["graph"], file=sys.stderr)
    sys.exit(1)
init = (time.perf_counter_ns() - begin) // 1000
loaded = memory()
print(f"INFO: The input model file size (MB): {len(content) / 1e6:g}")
print(f"INFO: Initialized session in {init / 1e3:g}ms.")
warmup = runs(number["warmup_runs"], number["warmup_min_secs"])
us = runs(number["num_runs"], number["min_secs"])
print(
    f"INFO: Inference timings in us: Init: {init}, First inference: {warmup[0]}, "
    f"Warmup (avg): {statistics.fmean(warmup):g}, Inference (avg): {statistics.fmean(us):g}"
)
print(
    "INFO: Memory footprint delta from the start of the tool (MB): "
    f"init={loaded - before:g} overall={memory() - before:g}"
)
if flags.get("report_peak_memory_footprint") == "true":
    print(f"INFO: Overall peak memory footprint (MB) via periodic monitoring: {memory():g}")
if flags.get("enable_op_profiling") == "true":
    half = statistics.fmean(us) / 2e3
    print("INFO: Profiling Info for Benchmark Initialization:")
    table([("AllocateTensors", 0.1, "AllocateTensors/0")])
    print("INFO: Operator-wise Profiling Info for Regular Benchmark Runs:")
    table([("CONV_2D", half, "[conv]:0"), ("Fully Connected (NC, QS8)", half, "Delegate/fc:1")])
