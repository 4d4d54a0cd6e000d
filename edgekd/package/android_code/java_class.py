"""The Java class that an app uses: typed by what its model takes and gives.

There is a template for each kind of input and answer, compiled once like the rest. A bundle gets
the template with its own names and constants in it; `source` gives the Java text of both, so that
what is shipped is what a compiler makes of the sources beside it (tests/package hold that).
"""

from __future__ import annotations

from collections.abc import Mapping

from edgekd.package.facade import GIVES, TAKES, Answer, Facade, Reader, one_line

TEMPLATE_PACKAGE = "edgekd.bundle"
FOLDER, DIGEST = "@folder@", "@sha256@"
"""Constants of a template that a bundle replaces."""
TYPES: Mapping[Reader, str] = {
    "Pictures": "Bitmap",
    "Sounds": "float[]",
    "Windows": "float[][]",
    "Rows": "Map<String, ?>",
    "Several": "Map<String, float[]>",
    "Numbers": "float[]",
}
ANSWERS: Mapping[Answer, tuple[str, str]] = {
    "categories": ("@NotNull List<Category>", "Answers.categories({})"),
    "number": ("double", "Answers.number({})"),
    "numbers": ("@NotNull Map<String, Double>", "Answers.numbers({})"),
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


def template_of(facade: Facade) -> str:
    """Name of the compiled template."""
    return f"{facade.reader}To{facade.answer.capitalize()}"


def argument_of(facade: Facade) -> str:
    """Name of the method's argument."""
    return "bitmap" if facade.reader == "Pictures" else TAKES[facade.reader][0]


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
    takes, argument = TYPES[facade.reader], argument_of(facade)
    gives, answer = ANSWERS[facade.answer]
    call = answer.format(f"model.run(reader.raw({argument})), model.spec")
    more = SOUND.format(gives=gives, asks=asks, answer=call) if facade.reader == "Sounds" else ""
    return TEXT.format(
        package=package,
        imports="\n".join(f"import {one};" for one in _imports(takes, gives)),
        about=one_line(about),
        name=name or template_of(facade),
        folder=folder,
        sha256=sha256,
        reader=facade.reader,
        takes=takes,
        argument=argument,
        argument_is=TAKES[facade.reader][1],
        gives=gives,
        gives_is=GIVES[facade.answer],
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
