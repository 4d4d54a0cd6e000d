"""Apple: a Swift package with the model as its resource, over ONNX Runtime.

OUT/ARTEFACT/Package.swift
OUT/ARTEFACT/Sources/NAMEKit/          what runs, and the class that an app uses
OUT/ARTEFACT/Sources/NAMEKit/Model/    the bundle's files
OUT/ARTEFACT/Tests/NAMEKitTests/       golden samples as an XCTest
OUT/ARTEFACT/README.md                 the lines that an app adds
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import get_args

from edgekd.package.contents import contents
from edgekd.package.deployable import Deployable, DeployedFile
from edgekd.package.facade import GIVES, TAKES, Facade, Reader, facade_of, one_line
from edgekd.package.manifest import MANIFEST

CODE = "edgekd.package.apple_code"
FORMATS = ("onnx",)
RUNTIME = "https://github.com/microsoft/onnxruntime-swift-package-manager"
RUNTIME_VERSION = "1.24.2"
MODEL = "Model"
"""The folder of the bundle's files."""

ARGUMENTS: dict[Reader, str] = {
    "Pictures": "CGImage",
    "Sounds": "[Float]",
    "Windows": "[[Float]]",
    "Rows": "[String: Cell]",
    "Several": "[String: [Float]]",
    "Numbers": "[Float]",
}
ANSWERS = {"categories": "[Category]", "number": "Double", "numbers": "[String: Double]"}

PACKAGE = """\
// swift-tools-version: 5.9

import PackageDescription

let package = Package(
    name: "{artefact}",
    platforms: [.iOS(.v15), .macOS(.v14)],
    products: [.library(name: "{module}", targets: ["{module}"])],
    dependencies: [
        .package(url: "{runtime}", from: "{runtime_version}")
    ],
    targets: [
        .target(
            name: "{module}",
            dependencies: [
                .product(name: "onnxruntime", package: "onnxruntime-swift-package-manager")
            ],
            resources: [.copy("{folder}")]),
        .testTarget(name: "{module}Tests", dependencies: ["{module}"]),
    ]
)
"""
CLASS = """\
{imports}

/// {about}
public final class {name}: Sendable {{
    /// Of the bundle's manifest.json, which has those of its other files.
    private static let sha256 = "{sha256}"

    /// The tensors underneath, for those who feed and read them themselves.
    public let model: Model
    let reader: {reader}

    /// Loads the model.
    ///
    /// - Throws: `ModelError` where the bundle is damaged, or the runtime's own error.
    public init(_ options: Options = Options()) throws {{
        guard let folder = Bundle.module.url(forResource: "{folder}", withExtension: nil) else {{
            throw ModelError(message: "The app lacks this package's resources. Add it again.")
        }}
        let model = try Model(folder: folder, sha256: {name}.sha256, options: options)
        reader = {tries}{reader}(model.spec)
        self.model = model
    }}

    /// - Parameter {argument}: {argument_is}.
    /// - Returns: {gives_is}.
    public func {asks}(_ {argument}: {takes}) throws -> {gives} {{
        Answers.{answer}(try model.run(reader.raw({argument})), model.spec)
    }}
{more}
    /// Asks about the bundle's golden samples.
    ///
    /// - Returns: how many there are.
    /// - Throws: `ModelError` where an input or an answer is not what the export made.
    public func selfCheck() throws -> Int {{
        try Golden.read(model).check(model, reader)
    }}
}}
"""
SOUND = """
    /// Samples a second that the model was trained on.
    public var sampleRate: Int {{ reader.rate }}

    /// The same of 16-bit samples.
    public func {asks}(_ samples: [Int16]) throws -> {gives} {{
        Answers.{answer}(try model.run(reader.raw(samples)), model.spec)
    }}
"""
PIXELS = """
    /// The same of pixels: four bytes each, red, green, blue and one that is left out.
    public func {asks}(_ rgbx: [UInt8], width: Int, height: Int) throws -> {gives} {{
        Answers.{answer}(try model.run(reader.raw(rgbx, width, height)), model.spec)
    }}
"""
MORE: dict[Reader, str] = {"Sounds": SOUND, "Pictures": PIXELS}
TEST = """\
import XCTest

@testable import {module}

/// Golden samples on this device: the same inputs to the bit, and answers within the tolerance.
final class GoldenTests: XCTestCase {{
    func testAnswersAsTheExportDid() throws {{
        XCTAssertGreaterThan(try {name}().selfCheck(), 0)
    }}

    func testHowLongAnAnswerTakes() throws {{
        let model = try {name}()
        let sample = try Golden.read(model.model).raw(0, model.model, model.reader)
        measure {{ _ = try? model.model.run(sample) }}
    }}
}}
"""
README = """\
# {artefact} {version} for Apple's systems

{about}

Add this folder to the app as a local package (iOS 15, macOS 14), and `{module}` to its
target. Then, after `import {module}`:

    let model = try {name}()
    let answer = try model.{asks}({argument})

`{argument}` is {argument_is}; the answer is {gives_is}.

Threads may share the model. `{name}(Options(threads: 2, accelerator: .coreML))`
runs it otherwise. `selfCheck()`, and the test of the package, ask about golden samples that travel
with the model.
"""


class Apple:
    """See the module."""

    def write(self, model: Deployable, out: Path) -> DeployedFile:
        """See `Target.write`."""
        file = model.file("apple", FORMATS)
        files = contents(model, file)
        facade = facade_of(model.spec)
        sources = f"Sources/{model.names.class_name}Kit"
        texts = _texts(model, file, facade, hashlib.sha256(files[MANIFEST]).hexdigest())
        made = {path: text.encode() for path, text in texts.items()}
        made |= {f"{sources}/{name}": content for name, content in _code(facade).items()}
        made |= {f"{sources}/{MODEL}/{name}": content for name, content in files.items()}
        for path, content in made.items():
            target = out / model.names.artefact / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return file


def _code(facade: Facade) -> dict[str, bytes]:
    """edgekd's own Swift: of the readers, the one that is used."""
    unused = {f"{name}.swift" for name in get_args(Reader) if name != facade.reader}
    if facade.reader != "Rows":  # Golden.swift knows a table's rows
        unused.discard("Rows.swift")
    return {
        each.name: each.read_bytes()
        for each in resources.files(CODE).iterdir()
        if each.name.endswith(".swift") and each.name not in unused
    }


def _texts(model: Deployable, file: DeployedFile, facade: Facade, sha256: str) -> dict[str, str]:
    names = model.names
    argument, argument_is = TAKES[facade.reader]
    fields = {
        "artefact": names.artefact,
        "version": model.version,
        "module": f"{names.class_name}Kit",
        "name": names.class_name,
        "asks": names.asks,
        "about": one_line(f"{names.artefact} {model.version}: {file.facts['description']}"),
        "sha256": sha256,
        "folder": MODEL,
        "runtime": RUNTIME,
        "runtime_version": RUNTIME_VERSION,
        "imports": "\n".join(
            f"import {one}"
            for one in (["CoreGraphics"] if facade.reader == "Pictures" else []) + ["Foundation"]
        ),
        "reader": facade.reader,
        "tries": "try " if facade.reader == "Sounds" else "",
        "argument": argument,
        "argument_is": argument_is,
        "takes": ARGUMENTS[facade.reader],
        "gives": ANSWERS[facade.answer],
        "gives_is": GIVES[facade.answer],
        "answer": facade.answer,
    }
    fields["more"] = MORE.get(facade.reader, "").format(**fields)
    return {
        "Package.swift": PACKAGE.format(**fields),
        f"Sources/{fields['module']}/{names.class_name}.swift": CLASS.format(**fields),
        f"Tests/{fields['module']}Tests/GoldenTests.swift": TEST.format(**fields),
        "README.md": README.format(**fields),
    }


TARGET = Apple()
