import Foundation

/// What the outputs mean: scores by label, or numbers in the targets' units.
enum Answers {
    /// All labels, the best first.
    static func categories(_ outputs: [Float], _ spec: Spec) -> [Category] {
        let wide = outputs.map { Double($0) }
        let scores: [Double]
        if spec.task == "multilabel" {
            scores = wide.map { 0.5 * (1 + tanh($0 / 2)) }
        } else {
            let largest = wide.max() ?? 0
            let powers = wide.map { exp($0 - largest) }
            let sum = powers.reduce(0, +)
            scores = powers.map { $0 / sum }
        }
        let order = scores.indices.sorted {
            scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1]
        }
        return order.map { Category(label: spec.labels[$0], score: scores[$0]) }
    }

    /// A regression's only number.
    static func number(_ outputs: [Float], _ spec: Spec) -> Double {
        Double(outputs[0]) * spec.targetStd[0] + spec.targetMean[0]
    }

    /// A regression's numbers by the targets' names.
    static func numbers(_ outputs: [Float], _ spec: Spec) -> [String: Double] {
        var found: [String: Double] = [:]
        for (place, label) in spec.labels.enumerated() {
            found[label] = Double(outputs[place]) * spec.targetStd[place] + spec.targetMean[place]
        }
        return found
    }
}
