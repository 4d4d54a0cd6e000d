package androidx.benchmark.junit4

/** Signatures as androidx.benchmark has them. */
class BenchmarkRule {
    inner class Scope {
        fun <T> runWithTimingDisabled(block: () -> T): T = block()
    }
}

inline fun BenchmarkRule.measureRepeated(crossinline block: BenchmarkRule.Scope.() -> Unit) {
    Scope().block()
}
