package edgekd.bundle;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the outputs mean: probabilities by label, or numbers in the targets' units. */
final class Answers {
    private static final Comparator<Category> BEST_FIRST =
            new Comparator<Category>() {
                @Override
                public int compare(Category one, Category other) {
                    return Double.compare(other.getScore(), one.getScore());
                }
            };

    private Answers() {}

    /** All labels, the best first. */
    static List<Category> categories(float[] outputs, Spec spec) {
        double[] scores = scores(outputs, spec);
        List<Category> found = new ArrayList<>(scores.length);
        for (int each = 0; each < scores.length; each++) {
            found.add(new Category(spec.labels[each], scores[each]));
        }
        Collections.sort(found, BEST_FIRST);
        return found;
    }

    private static double[] scores(float[] outputs, Spec spec) {
        double[] found = new double[outputs.length];
        float largest = Float.NEGATIVE_INFINITY;
        for (float output : outputs) {
            largest = Math.max(largest, output);
        }
        double sum = 0;
        for (int each = 0; each < found.length; each++) {
            if (spec.task.equals("multilabel")) {
                found[each] = 0.5 * (1 + Math.tanh((double) outputs[each] / 2));
            } else {
                found[each] = Math.exp((double) outputs[each] - largest);
            }
            sum += found[each];
        }
        for (int each = 0; each < found.length; each++) {
            found[each] = spec.task.equals("multilabel") ? found[each] : found[each] / sum;
        }
        return found;
    }

    /** A regression's only number. */
    static double number(float[] outputs, Spec spec) {
        return outputs[0] * spec.targetStd[0] + spec.targetMean[0];
    }

    /** A regression's numbers by the targets' names, in their order. */
    static Map<String, Double> numbers(float[] outputs, Spec spec) {
        Map<String, Double> found = new LinkedHashMap<>();
        for (int each = 0; each < outputs.length; each++) {
            double raw = outputs[each] * spec.targetStd[each] + spec.targetMean[each];
            found.put(spec.labels[each], raw);
        }
        return found;
    }
}
