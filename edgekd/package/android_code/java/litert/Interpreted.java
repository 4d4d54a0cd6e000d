package edgekd.bundle;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.tensorflow.lite.Interpreter;

/** A model in LiteRT's interpreter, with XNNPACK. */
final class Interpreted implements Engine {
    private final Interpreter interpreter;
    private final int[] places;
    private final int answer;

    Interpreted(ByteBuffer file, Spec spec, Options options) {
        interpreter =
                new Interpreter(file, new Interpreter.Options().setNumThreads(options.threads));
        places = new int[spec.inputs.length];
        for (int number = 0; number < places.length; number++) {
            places[number] = place(spec.inputs[number].name, places.length);
        }
        int found = 0;
        for (int each = 0; each < interpreter.getOutputTensorCount(); each++) {
            if (interpreter.getOutputTensor(each).name().equals(spec.output)) {
                found = each;
            }
        }
        answer = found;
    }

    private int place(String name, int count) {
        for (int each = 0; each < interpreter.getInputTensorCount(); each++) {
            if (count == 1 || interpreter.getInputTensor(each).name().equals(name)) {
                return each;
            }
        }
        throw new ModelException("The model's file has no input " + name + ".");
    }

    @Override
    public void run(ByteBuffer[] inputs, ByteBuffer output) {
        Object[] given = new Object[inputs.length];
        for (int number = 0; number < inputs.length; number++) {
            given[places[number]] = inputs[number];
        }
        Map<Integer, Object> answers = new HashMap<>();
        answers.put(answer, output);
        interpreter.runForMultipleInputsOutputs(given, answers);
    }

    @Override
    public void close() {
        interpreter.close();
    }
}
