/// Several inputs that are raw samples already, by name.
struct Several: Reader {
    private let inputs: [Spec.Input]

    init(_ spec: Spec) {
        inputs = spec.inputs
    }

    func raw(_ values: [String: [Float]]) throws -> [[Float]] {
        try inputs.map { part -> [Float] in
            guard let numbers = values[part.name] else {
                throw ModelError(message: "The input \(part.name) is missing.")
            }
            return numbers
        }
    }

    func madeUp(_ number: Int) throws -> [[Float]] {
        throw ModelError(message: "Several inputs have no made-up samples: package again.")
    }
}
