/// Numbers that are raw samples already, channels first.
struct Numbers: Reader {
    private let part: Spec.Input

    init(_ spec: Spec) {
        part = spec.inputs[0]
    }

    func raw(_ numbers: [Float]) -> [[Float]] {
        [numbers]
    }

    func madeUp(_ number: Int) -> [[Float]] {
        [Golden.pattern(part.size, number).map { Float($0) }]
    }
}
