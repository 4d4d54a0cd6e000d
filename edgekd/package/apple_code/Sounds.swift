import Foundation

/// Recordings as log-mel features, in double and in the order of docs/package.md. Sines and
/// logarithms are series of their own: those of libraries differ in their last bit.
struct Sounds: Reader {
    private static let leastEnergy = 1e-9
    private static let ln2 = 0.6931471805599453
    private static let halfPi = 1.5707963267948966
    private static let rootOfHalf = 0.7071067811865476

    let rate: Int
    private let samples: Int
    private let hop: Int
    private let window: [Double]
    /// Of the window's sum.
    private let square: Double
    /// Triangles, bands x bins.
    private let banks: [[Double]]
    /// Cosine and sine of 2 pi k / length.
    private let turns: [(Double, Double)]

    init(_ spec: Spec) throws {
        guard let told = spec.inputs[0].sound else {
            throw ModelError(message: "spec.json lacks `sound`: package the model again.")
        }
        rate = told.rate
        samples = told.samples
        hop = told.hop
        window = (0..<told.window).map { 0.5 - 0.5 * Sounds.turn($0, told.window).0 }
        let sum = window.reduce(0.0, +)
        square = sum * sum
        banks = Sounds.banks(told)
        turns = (0..<told.fft).map { Sounds.turn($0, told.fft) }
    }

    /// Raw numbers of samples within -1 to 1 of any count: cut, or silence on both sides.
    func raw(_ mono: [Float]) throws -> [[Float]] {
        guard !mono.isEmpty else {
            throw ModelError(message: "The recording has no samples.")
        }
        var fitted = [Float](repeating: 0, count: samples)
        let before = max(0, (samples - mono.count) / 2)
        for at in 0..<min(samples, mono.count) {
            fitted[before + at] = mono[at]
        }
        let frames = 1 + (samples - window.count) / hop
        var found: [Float] = []
        for frame in 0..<frames {
            let power = self.power(fitted, frame * hop)
            for bank in banks {
                var energy = 0.0
                for (bin, weight) in bank.enumerated() {
                    energy += power[bin] * weight
                }
                found.append(Float(Sounds.logarithm(Sounds.leastEnergy + energy)))
            }
        }
        return [found]
    }

    /// The same of 16-bit samples.
    func raw(_ pcm: [Int16]) throws -> [[Float]] {
        try raw(pcm.map { Float($0) / 32768 })
    }

    /// ((2 number + 1) i^2 + 37 i) mod 65536 / 32768 - 1: through all frequencies.
    func madeUp(_ number: Int) throws -> [[Float]] {
        try raw(
            (0..<samples).map { i -> Float in
                let square: Int = (2 * number + 1) * i * i
                let step: Int = (square + 37 * i) % 65536
                return Float(step) / 32768 - 1
            })
    }

    private func power(_ fitted: [Float], _ start: Int) -> [Double] {
        let length = turns.count
        var real = [Double](repeating: 0, count: length)
        var imaginary = [Double](repeating: 0, count: length)
        let bits = length.trailingZeroBitCount
        for at in 0..<length {
            let place = Sounds.reversed(at, bits)
            if place < window.count {
                real[at] = Double(fitted[start + place]) * window[place]
            }
        }
        fourier(&real, &imaginary)
        return (0...length / 2).map { bin -> Double in
            (real[bin] * real[bin] + imaginary[bin] * imaginary[bin]) / square
        }
    }

    private static func reversed(_ value: Int, _ bits: Int) -> Int {
        var rest = value
        var found = 0
        for _ in 0..<bits {
            found = found * 2 + rest % 2
            rest /= 2
        }
        return found
    }

    /// The discrete Fourier transform of reordered samples in place: radix 2, decimation in time.
    private func fourier(_ real: inout [Double], _ imaginary: inout [Double]) {
        let length = real.count
        var half = 1
        while half < length {
            for turn in 0..<half {
                let (cosine, sine) = turns[turn * (length / (2 * half))]
                for at in stride(from: turn, to: length, by: 2 * half) {
                    let odd = at + half
                    let x = cosine * real[odd] + sine * imaginary[odd]
                    let y = cosine * imaginary[odd] - sine * real[odd]
                    real[odd] = real[at] - x
                    imaginary[odd] = imaginary[at] - y
                    real[at] += x
                    imaginary[at] += y
                }
            }
            half *= 2
        }
    }

    private static func banks(_ told: Spec.Sound) -> [[Double]] {
        (0..<told.edges.count - 2).map { band -> [Double] in
            let left = told.edges[band]
            let centre = told.edges[band + 1]
            let right = told.edges[band + 2]
            return (0...told.fft / 2).map { bin -> Double in
                let hertz = Double(bin * told.rate) / Double(told.fft)
                let rising = (hertz - left) / (centre - left)
                let falling = (right - hertz) / (right - centre)
                return max(0.0, min(rising, falling))
            }
        }
    }

    /// Cosine and sine of 2 pi part / whole, 0 <= part < whole: Taylor's series up to pi / 4.
    private static func turn(_ part: Int, _ whole: Int) -> (Double, Double) {
        let quarter = 4 * part / whole
        let rest = 4 * part % whole
        let swap = 2 * rest > whole
        let x = Double(swap ? whole - rest : rest) / Double(whole) * halfPi
        let z = x * x
        var cosine = 1.0
        var sine = 1.0
        for term in stride(from: 9, to: 0, by: -1) {
            let even: Int = 2 * term
            cosine = 1.0 - z * cosine / Double((even - 1) * even)
            sine = 1.0 - z * sine / Double(even * (even + 1))
        }
        sine *= x
        var both = swap ? (sine, cosine) : (cosine, sine)
        if quarter % 2 == 1 {
            both = (-both.1, both.0)
        }
        return quarter >= 2 ? (-both.0, -both.1) : both
    }

    /// ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)), with m from the root of 1/2 to that of 2.
    private static func logarithm(_ value: Double) -> Double {
        var m = value.significand / 2
        var e = Double(value.exponent) + 1
        if m < rootOfHalf {
            m *= 2
            e -= 1
        }
        let f = (m - 1.0) / (m + 1.0)
        let squared = f * f
        var series = 1.0 / 23.0
        for term in stride(from: 21, to: 0, by: -2) {
            series = series * squared + 1.0 / Double(term)
        }
        return e * ln2 + 2.0 * f * series
    }
}
