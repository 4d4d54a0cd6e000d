import Foundation

/// Raw numbers as the file takes them. Every step is rounded to float32 and is in the order of
/// docs/package.md, so that every language gives the same bytes.
enum Feed {
    /// - Parameter raw: a sample in the training data's units, channels first.
    static func tensor(_ raw: [Float], _ part: Spec.Input) throws -> Data {
        guard raw.count == part.size else {
            throw ModelError(
                message: "The input \(part.name) takes \(part.size) numbers, and \(raw.count) came."
            )
        }
        guard raw.allSatisfy({ $0.isFinite }) else {
            throw ModelError(message: "A sample holds a value that is not finite.")
        }
        if part.isCodes {
            return data(
                try raw.map { value -> Int32 in
                    guard let code = Int32(exactly: value) else {
                        throw ModelError(message: "\(value) is no code of \(part.name).")
                    }
                    return code
                })
        }
        let normalised = laidOut(raw, part)
        guard let scale = part.quantization else {
            return data(normalised)
        }
        let step = Float(scale.scale)
        let zeroPoint = Float(scale.zeroPoint)
        return data(
            normalised.map { value -> Int8 in
                let steps = (value / step).rounded(.toNearestOrEven) + zeroPoint
                return Int8(max(-128, min(127, steps)))
            })
    }

    private static func laidOut(_ raw: [Float], _ part: Spec.Input) -> [Float] {
        let mean = part.mean.map { Float($0) }
        let std = part.std.map { Float($0) }
        let channels = part.shape[0]
        let inner = raw.count / channels
        return raw.indices.map { at -> Float in
            let channel = part.channelsLast ? at % channels : at / inner
            let value = raw[part.channelsLast ? channel * inner + at / channels : at]
            return (value - mean[channel]) / std[channel]
        }
    }

    private static func data<Number>(_ values: [Number]) -> Data {
        values.withUnsafeBytes { Data($0) }
    }
}
