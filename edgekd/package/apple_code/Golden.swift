import CryptoKit
import Foundation

/// What turns an app's values into raw samples.
protocol Reader {
    /// The made-up sample of that number, an array an input: what every language can make, to
    /// check itself by where there are no real samples.
    func madeUp(_ number: Int) throws -> [[Float]]
}

/// golden.json: samples, the inputs that must be made of them, and what must be answered.
struct Golden: Decodable {
    struct Tensor: Decodable {
        let dtype: String
        let base64: String
    }

    struct Sample: Decodable {
        let raw: [String: Tensor]?
        let row: [String: Cell]?
        let madeUp: Int?
        let inputs: [String: String]
        let output: [Double]

        enum CodingKeys: String, CodingKey {
            case raw, row, inputs, output
            case madeUp = "made_up"
        }
    }

    let tolerance: Double
    let samples: [Sample]

    static func read(_ model: Model) throws -> Golden {
        try decoded(Golden.self, model.files.verified("golden.json"), "golden.json")
    }

    /// The number of samples; throws where one is not as it should be.
    func check(_ model: Model, _ reader: Reader) throws -> Int {
        for (number, sample) in samples.enumerated() {
            let raw = try self.raw(number, model, reader)
            let tensors = try model.prepare(raw)
            for (part, made) in zip(model.spec.inputs, tensors) {
                guard hexadecimal(SHA256.hash(data: made)) == sample.inputs[part.name] else {
                    throw ModelError(
                        message: "Golden sample \(number): the input \(part.name) is another.")
                }
            }
            let answer = try model.tensor(raw)
            guard answer.count == sample.output.count else {
                throw ModelError(message: "Golden sample \(number): the outputs are others.")
            }
            for (got, wanted) in zip(answer, sample.output) {
                let difference = abs(Double(got) - wanted)
                guard difference <= tolerance else {  // which NaN is not either
                    throw ModelError(
                        message: "Golden sample \(number): an output differs by \(difference), and "
                            + "\(tolerance) is allowed.")
                }
            }
        }
        return samples.count
    }

    /// The raw numbers of a sample.
    func raw(_ number: Int, _ model: Model, _ reader: Reader) throws -> [[Float]] {
        let sample = samples[number]
        if let number = sample.madeUp {
            return try reader.madeUp(number)
        }
        if let row = sample.row, let rows = reader as? Rows {
            return try rows.raw(row)
        }
        return try model.spec.inputs.map { part -> [Float] in
            guard let tensor = sample.raw?[part.name],
                let content = Data(base64Encoded: tensor.base64)
            else {
                throw ModelError(message: "golden.json lacks a sample: package the model again.")
            }
            switch tensor.dtype {
            case "uint8": return content.map { Float($0) }
            case "int32": return numbers(content).map { Float(Int32(bitPattern: $0.bitPattern)) }
            default: return numbers(content)
            }
        }
    }

    /// ((number + 1) i^2 + 7 i + 101 number) mod 256, for i from 0.
    static func pattern(_ count: Int, _ number: Int) -> [Int] {
        (0..<count).map { i -> Int in
            let square: Int = (number + 1) * i * i
            let rest: Int = 7 * i + 101 * number
            return (square + rest) % 256
        }
    }
}
