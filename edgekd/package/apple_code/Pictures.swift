import CoreGraphics
import Foundation

/// Pictures as raw samples: grey or RGB, resized, in the training data's units.
struct Pictures: Reader {
    private static let bits = 22
    private let part: Spec.Input

    init(_ spec: Spec) {
        part = spec.inputs[0]
    }

    /// An image of any size, drawn into sRGB; where it is transparent, on black.
    func raw(_ image: CGImage) throws -> [[Float]] {
        let width = image.width
        let height = image.height
        var pixels = [UInt8](repeating: 0, count: 4 * width * height)
        let drawn = pixels.withUnsafeMutableBytes { memory -> Bool in
            guard let space = CGColorSpace(name: CGColorSpace.sRGB),
                let context = CGContext(
                    data: memory.baseAddress, width: width, height: height, bitsPerComponent: 8,
                    bytesPerRow: 4 * width, space: space,
                    bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            else { return false }
            context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
            return true
        }
        guard drawn else {
            throw ModelError(message: "This image cannot be drawn.")
        }
        return raw(pixels, width, height)
    }

    /// - Parameter rgbx: four bytes a pixel, row by row from the top; the fourth is left out.
    func raw(_ rgbx: [UInt8], _ width: Int, _ height: Int) -> [[Float]] {
        let channels = part.shape[0]
        var planes = Pictures.planes(rgbx, channels)
        planes = Pictures.across(planes, channels * height, width, part.shape[2])
        planes = Pictures.down(planes, channels, height, part.shape[2], part.shape[1])
        let unit = Float((part.peak ?? 255.0) / 255.0)
        return [planes.map { Float($0) * unit }]
    }

    func madeUp(_ number: Int) -> [[Float]] {
        let values = Golden.pattern(part.size, number)
        let channels = part.shape[0]
        var rgbx: [UInt8] = []
        for start in stride(from: 0, to: values.count, by: channels) {
            for place in [0, channels / 2, channels - 1] {
                rgbx.append(UInt8(values[start + place]))
            }
            rgbx.append(0)
        }
        return raw(rgbx, part.shape[2], part.shape[1])
    }

    /// (C, H, W); one channel is grey by the weights of ITU-R 601-2, as Pillow rounds them.
    private static func planes(_ rgbx: [UInt8], _ channels: Int) -> [Int32] {
        let count = rgbx.count / 4
        var found = [Int32](repeating: 0, count: channels * count)
        for at in 0..<count {
            let red = Int32(rgbx[4 * at])
            let green = Int32(rgbx[4 * at + 1])
            let blue = Int32(rgbx[4 * at + 2])
            if channels == 1 {
                found[at] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
            } else {
                found[at] = red
                found[count + at] = green
                found[2 * count + at] = blue
            }
        }
        return found
    }

    private static func across(_ pixels: [Int32], _ rows: Int, _ from: Int, _ to: Int) -> [Int32] {
        if from == to {
            return pixels
        }
        let weights = Weights(from, to)
        var found = [Int32](repeating: 0, count: rows * to)
        for row in 0..<rows {
            for x in 0..<to {
                found[row * to + x] = weights.sum(pixels, row * from, 1, x)
            }
        }
        return found
    }

    private static func down(
        _ pixels: [Int32], _ channels: Int, _ from: Int, _ width: Int, _ to: Int
    ) -> [Int32] {
        if from == to {
            return pixels
        }
        let weights = Weights(from, to)
        var found = [Int32](repeating: 0, count: channels * to * width)
        for channel in 0..<channels {
            for y in 0..<to {
                for x in 0..<width {
                    let start = channel * from * width + x
                    found[(channel * to + y) * width + x] = weights.sum(pixels, start, width, y)
                }
            }
        }
        return found
    }

    /// A triangle over each new pixel, as wide as it covers old ones (antialiased bilinear), in
    /// whole numbers: what Pillow's Image.resize computes with Resampling.BILINEAR.
    private struct Weights {
        var first: [Int] = []
        var weights: [[Int32]] = []

        init(_ from: Int, _ to: Int) {
            let scale = Double(from) / Double(to)
            let support = max(scale, 1.0)
            for each in 0..<to {
                let centre = (Double(each) + 0.5) * scale
                let low = max(Int(centre - support + 0.5), 0)
                let high = min(Int(centre + support + 0.5), from)
                let near = (low..<high).map { at -> Double in
                    let distance: Double = (Double(at) - centre + 0.5) * (1.0 / support)
                    return max(0.0, 1.0 - abs(distance))
                }
                let sum = near.reduce(0.0, +)
                first.append(low)
                weights.append(near.map { Int32($0 / sum * Double(1 << Pictures.bits) + 0.5) })
            }
        }

        func sum(_ pixels: [Int32], _ start: Int, _ stride: Int, _ each: Int) -> Int32 {
            var sum = Int32(1) << Int32(Pictures.bits - 1)
            var at = start + first[each] * stride
            for weight in weights[each] {
                sum += pixels[at] * weight
                at += stride
            }
            return max(0, min(255, sum >> Int32(Pictures.bits)))
        }
    }
}
