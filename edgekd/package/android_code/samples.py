"""Kotlin for an app's own tests: golden samples on a device, and how long an answer takes there."""

from __future__ import annotations

from edgekd.package.android_code.aar import Library

GOLDEN_TEST = """\
package {package}

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** Golden samples on this device: the same inputs to the bit, and answers within the tolerance. */
@RunWith(AndroidJUnit4::class)
class {name}GoldenTest {{
    @Test
    fun answersAsTheExportDid() {{
        val context = InstrumentationRegistry.getInstrumentation().targetContext
        {name}.create(context).use {{ model -> assertTrue(model.selfCheck() > 0) }}
    }}
}}
"""
BENCHMARK = """\
package {package}

import androidx.benchmark.junit4.BenchmarkRule
import androidx.benchmark.junit4.measureRepeated
import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith

/** How long this device takes for the first golden sample, preprocessing and answer included. */
@RunWith(AndroidJUnit4::class)
class {name}Benchmark {{
    @get:Rule
    val benchmark = BenchmarkRule()

    @Test
    fun oneThread() = measure(1)

    @Test
    fun fourThreads() = measure(4)

    private fun measure(threads: Int) {{
        val context = InstrumentationRegistry.getInstrumentation().targetContext
        {name}.create(context, Options().threads(threads)).use {{ model ->
            val sample = model.goldenSample(0)
            benchmark.measureRepeated {{ model.model.run(*sample) }}
        }}
    }}
}}
"""
README = """\
# {artefact} {version} for Android

{about}

In `settings.gradle.kts`, among the repositories (`google()` or `mavenCentral()` has the runtime):

    maven {{ url = uri("android/maven") }}

In the app's `build.gradle.kts`:

    implementation("{coordinates}")

In the app:

    val model = {name}.create(context)
    val answer = model.{asks}({argument})

`{argument}` is {argument_is}; the answer is {gives_is}.

The class is `{package}.{name}`. Threads may share it, and `close()`
frees it. `Options().threads(2).accelerator(Accelerator.NPU)` is a second argument of `create`.
`selfCheck()` asks about golden samples that travel with the model.

| folder | holds |
| --- | --- |
| `maven` | the repository: AAR, POM, Gradle's module metadata, sources, checksums |
| `androidTest` | a test of the golden samples and a benchmark, for `src/androidTest/java` |
| `raw` | the files of the AAR's assets, for those who wire the model themselves |
"""


def kotlin_files(library: Library) -> dict[str, str]:
    """The Kotlin sources by file name."""
    fields = {"package": library.package, "name": library.class_name}
    return {
        f"{library.class_name}GoldenTest.kt": GOLDEN_TEST.format(**fields),
        f"{library.class_name}Benchmark.kt": BENCHMARK.format(**fields),
    }
