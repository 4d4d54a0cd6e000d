/// Windows of a signal as raw samples.
struct Windows: Reader {
    private let part: Spec.Input

    init(_ spec: Spec) {
        part = spec.inputs[0]
    }

    /// - Parameter window: the channels in the order of training, each with its steps in time.
    func raw(_ window: [[Float]]) throws -> [[Float]] {
        guard window.count == part.shape[0], window.allSatisfy({ $0.count == part.shape[1] }) else {
            throw ModelError(
                message: "A window has \(part.shape[0]) channels of \(part.shape[1]) steps each.")
        }
        return [window.flatMap { $0 }]
    }

    func madeUp(_ number: Int) -> [[Float]] {
        [Golden.pattern(part.size, number).map { Float($0) }]
    }
}
