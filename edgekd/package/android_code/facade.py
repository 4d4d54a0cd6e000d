"""The class that an app uses: typed by what its model takes and gives.

There is a template for each kind of input and answer, compiled once like the rest. A bundle gets
the template with its own names and constants in it; `source` gives the Java text of both, so that
what is shipped is what a compiler makes of the sources beside it (tests/package hold that).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Reader = Literal["Pictures", "Sounds", "Windows", "Rows", "Several", "Numbers"]
Answer = Literal["categories", "number", "numbers"]

TEMPLATE_PACKAGE = "edgekd.bundle"
FOLDER, DIGEST = "@folder@", "@sha256@"
"""Constants of a template that a bundle replaces."""


@dataclass(frozen=True)
class Facade:
    """What the model takes, by the class that reads it, and what it gives."""

    reader: Reader
    answer: Answer

    @property
    def template(self) -> str:
        """Name of the compiled template."""
        return f"{self.reader}To{self.answer.capitalize()}"


FACADES = tuple(
    Facade(reader, answer) for reader in get_args(Reader) for answer in get_args(Answer)
)

TAKES: Mapping[Reader, tuple[str, str, str]] = {
    "Pictures": ("Bitmap", "bitmap", "a picture of any size; its alpha is left out"),
    "Sounds": ("float[]", "samples", "within -1 to 1, one channel, at the rate of getSampleRate"),
    "Windows": ("float[][]", "window", "the channels, each with its steps in time"),
    "Rows": ("Map<String, ?>", "row", "a value for each column; null where it is not known"),
    "Several": ("Map<String, float[]>", "values", "the numbers of each input, by name"),
    "Numbers": ("float[]", "numbers", "in the training data's units, channels first"),
}
GIVES: Mapping[Answer, tuple[str, str, str]] = {
    "categories": ("@NotNull List<Category>", "Answers.categories({})", "all labels, best first"),
    "number": ("double", "Answers.number({})", "the number, in the target's units"),
    "numbers": ("@NotNull Map<String, Double>", "Answers.numbers({})", "the numbers by target"),
}

SOUND = """
    /** Samples a second that the model was trained on. */
    public int getSampleRate() {{
        return reader.rate();
    }}

    /** The same of 16-bit samples, as AudioRecord gives them. */
    public {gives} {asks}(@NotNull short[] samples) {{
        return {answer};
    }}
"""

TEXT = """\
package {package};

{imports}

/** {about} */
public final class {name} implements Closeable {{
    private static final String FOLDER = "{folder}";
    /** Of the bundle's manifest.json, which has those of its other files. */
    private static final String SHA256 = "{sha256}";

    private final Model model;
    private final {reader} reader;

    private {name}(Model model) {{
        this.model = model;
        reader = new {reader}(model.spec);
    }}

    /** Loads the model; on one thread of the processor. */
    public static @NotNull {name} create(@NotNull Context context) {{
        return create(context, new Options());
    }}

    /** @throws ModelException where the bundle is damaged or the runtime cannot load it. */
    public static @NotNull {name} create(@NotNull Context context, @NotNull Options options) {{
        return new {name}(Model.open(context, FOLDER, SHA256, options));
    }}

    /**
     * @param {argument} {argument_is}.
     * @return {gives_is}.
     */
    public {gives} {asks}(@NotNull {takes} {argument}) {{
        return {answer};
    }}
{more}
    /**
     * Asks about the bundle's golden samples.
     *
     * @return how many there are.
     * @throws ModelException where an input or an answer is not what the export made.
     */
    public int selfCheck() {{
        return new Golden(model, reader).check();
    }}

    /**
     * A golden sample as raw numbers, an array an input: for getModel().run.
     *
     * @param number from 0, below what selfCheck returns.
     */
    public @NotNull float[][] goldenSample(int number) {{
        return new Golden(model, reader).sample(number);
    }}

    /** The tensors underneath, for those who feed and read them themselves. */
    public @NotNull Model getModel() {{
        return model;
    }}

    /** Frees the runtime's memory. */
    @Override
    public void close() {{
        model.close();
    }}
}}
"""


def facade_of(spec: Mapping[str, Any]) -> Facade:
    """The facade of a model.

    Args:
        spec: the bundle's `spec.json`.
    """
    if spec["task"] != "regression":
        answer: Answer = "categories"
    else:
        answer = "number" if len(spec["labels"]) == 1 else "numbers"
    return Facade(_reader(spec), answer)


def _reader(spec: Mapping[str, Any]) -> Reader:
    first = spec["inputs"][0]
    if any(part["columns"] and part["kind"] in ("row", "codes") for part in spec["inputs"]):
        return "Rows"
    if len(spec["inputs"]) > 1:
        return "Several"
    if first["kind"] == "image" and first["peak"] is not None and first["shape"][0] in (1, 3):
        return "Pictures"
    if first["sound"] is not None:
        return "Sounds"
    return "Windows" if first["kind"] == "series" else "Numbers"


def source(
    facade: Facade,
    asks: str,
    *,
    package: str = TEMPLATE_PACKAGE,
    name: str | None = None,
    folder: str = FOLDER,
    sha256: str = DIGEST,
    about: str = "A model.",
) -> str:
    """The Java source.

    Args:
        asks: the method's name.
        about: a line on the model.
    """
    takes, argument, argument_is = TAKES[facade.reader]
    gives, answer, gives_is = GIVES[facade.answer]
    call = answer.format(f"model.run(reader.raw({argument})), model.spec")
    more = SOUND.format(gives=gives, asks=asks, answer=call) if facade.reader == "Sounds" else ""
    return TEXT.format(
        package=package,
        imports="\n".join(f"import {one};" for one in _imports(takes, gives)),
        about=one_line(about),
        name=name or facade.template,
        folder=folder,
        sha256=sha256,
        reader=facade.reader,
        takes=takes,
        argument=argument,
        argument_is=argument_is,
        gives=gives,
        gives_is=gives_is,
        asks=asks,
        answer=call,
        more=more,
    )


def _imports(takes: str, gives: str) -> list[str]:
    used = f"{takes} {gives}"
    return [
        "android.content.Context",
        *(["android.graphics.Bitmap"] if "Bitmap" in used else []),
        "java.io.Closeable",
        *(["java.util.List"] if "List<" in used else []),
        *(["java.util.Map"] if "Map<" in used else []),
        "org.jetbrains.annotations.NotNull",
    ]


def one_line(text: str) -> str:
    """As a comment can hold it: whatever it says, the line stays one and the comment open."""
    return " ".join(text.replace("*/", "* /").replace("\\", "/").split())
