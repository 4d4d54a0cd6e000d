import Foundation

/// spec.json: what the model takes and gives. docs/package.md of edgekd tells its fields.
struct Spec: Decodable {
    /// real = scale * (integer - zeroPoint).
    struct Scale: Decodable {
        let scale: Double
        let zeroPoint: Int

        enum CodingKeys: String, CodingKey {
            case scale
            case zeroPoint = "zero_point"
        }
    }

    struct Sound: Decodable {
        let rate: Int
        let samples: Int
        let window: Int
        let hop: Int
        let fft: Int
        let edges: [Double]

        enum CodingKeys: String, CodingKey {
            case rate, samples, window, hop, fft
            case edges = "edges_hz"
        }
    }

    /// One input: `shape` leaves the batch out and has the channels first.
    struct Input: Decodable {
        let name: String
        let kind: String
        let shape: [Int]
        let layout: String
        let quantization: Scale?
        let mean: [Double]
        let std: [Double]
        let peak: Double?
        let sound: Sound?
        let columns: [String]
        let vocabulary: [[String]]

        var isCodes: Bool { kind == "codes" }
        var channelsLast: Bool { shape.count == 3 && layout == "NHWC" }
        var size: Int { shape.reduce(1, *) }

        /// With the batch, as the file has it.
        var fileShape: [NSNumber] {
            let axes = channelsLast ? [shape[1], shape[2], shape[0]] : shape
            return ([1] + axes).map { NSNumber(value: $0) }
        }
    }

    struct Output: Decodable {
        let name: String
        let quantization: Scale?
    }

    let version: Int
    let model: String
    let task: String
    let labels: [String]
    let targetMean: [Double]
    let targetStd: [Double]
    let inputs: [Input]
    let output: Output

    enum CodingKeys: String, CodingKey {
        case version = "format_version"
        case model, task, labels, inputs, output
        case targetMean = "target_mean"
        case targetStd = "target_std"
    }

    static func read(_ content: Data) throws -> Spec {
        let spec = try decoded(Spec.self, content, "spec.json")
        guard spec.version == 1 else {
            throw ModelError(
                message: "This package reads spec.json of format 1, and it has \(spec.version). "
                    + "Package the model again.")
        }
        return spec
    }
}
