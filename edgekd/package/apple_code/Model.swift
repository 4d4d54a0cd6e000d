import Foundation
import OnnxRuntimeBindings

/// A model, loaded: raw numbers in, outputs out. Threads may share it: they take turns.
public final class Model: @unchecked Sendable {
    let spec: Spec
    let files: BundleFiles
    private let environment: ORTEnv
    private let session: ORTSession
    private let lock = NSLock()

    /// - Parameter sha256: of the folder's manifest.json, which has those of the other files.
    init(folder: URL, sha256: String, options: Options) throws {
        let files = try BundleFiles(folder: folder, sha256: sha256)
        let spec = try Spec.read(files.verified("spec.json"))
        _ = try files.verified(spec.model)
        let environment = try ORTEnv(loggingLevel: ORTLoggingLevel.warning)
        let path = folder.appendingPathComponent(spec.model).path
        session = try Model.opened(environment, path, options)
        self.files = files
        self.spec = spec
        self.environment = environment
    }

    private static func opened(_ environment: ORTEnv, _ path: String, _ options: Options) throws
        -> ORTSession
    {
        if let exact = try? Model.opened(environment, path, options, exact: true) {
            return exact
        }
        // weights that share a zero point cannot be loaded so
        return try Model.opened(environment, path, options, exact: false)
    }

    /// - Parameter exact: whether int8 products must not saturate on x86-64; see docs/export.md.
    private static func opened(
        _ environment: ORTEnv, _ path: String, _ options: Options, exact: Bool
    ) throws -> ORTSession {
        let settings = try ORTSessionOptions()
        try settings.setIntraOpNumThreads(Int32(options.threads))
        try settings.addConfigEntry(
            withKey: "session.x64quantprecision", value: exact ? "1" : "0")
        if options.accelerator == .coreML {
            let coreML = ORTCoreMLExecutionProviderOptions()
            try settings.appendCoreMLExecutionProvider(with: coreML)
        }
        return try ORTSession(env: environment, modelPath: path, sessionOptions: settings)
    }

    /// The outputs of one sample: logits, or a regression's standardised numbers.
    ///
    /// - Parameter raw: an array an input, in the spec's order: numbers in the training data's
    ///   units, channels first.
    public func run(_ raw: [[Float]]) throws -> [Float] {
        let answer = try tensor(raw)
        guard let scale = spec.output.quantization else {
            return answer
        }
        return answer.map { ($0 - Float(scale.zeroPoint)) * Float(scale.scale) }
    }

    /// The bytes that the file gets for one sample, an array an input.
    public func prepare(_ raw: [[Float]]) throws -> [Data] {
        guard raw.count == spec.inputs.count else {
            throw ModelError(
                message: "The model has \(spec.inputs.count) inputs, and \(raw.count) came.")
        }
        return try zip(raw, spec.inputs).map { try Feed.tensor($0, $1) }
    }

    /// The numbers of the output tensor: of an int8 file, its integers.
    func tensor(_ raw: [[Float]]) throws -> [Float] {
        let made = try prepare(raw)
        lock.lock()
        defer { lock.unlock() }
        var given: [String: ORTValue] = [:]
        for (part, content) in zip(spec.inputs, made) {
            given[part.name] = try ORTValue(
                tensorData: NSMutableData(data: content),
                elementType: Model.elementType(part),
                shape: part.fileShape)
        }
        let answers = try session.run(
            withInputs: given, outputNames: [spec.output.name], runOptions: nil)
        guard let answer = answers[spec.output.name] else {
            throw ModelError(message: "The model gives no \(spec.output.name).")
        }
        let content = try answer.tensorData() as Data
        if spec.output.quantization != nil {
            return content.map { Float(Int8(bitPattern: $0)) }
        }
        return numbers(content)
    }

    private static func elementType(_ part: Spec.Input) -> ORTTensorElementDataType {
        if part.isCodes {
            return ORTTensorElementDataType.int32
        }
        return part.quantization == nil
            ? ORTTensorElementDataType.float : ORTTensorElementDataType.int8
    }
}

/// Little-endian float32.
func numbers(_ content: Data) -> [Float] {
    content.withUnsafeBytes { bytes in
        (0..<content.count / 4).map { at in
            Float(
                bitPattern: UInt32(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * at, as: UInt32.self)))
        }
    }
}
