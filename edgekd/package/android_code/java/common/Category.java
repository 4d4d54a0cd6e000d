package edgekd.bundle;

import org.jetbrains.annotations.NotNull;

/** One possible answer. */
public final class Category {
    private final String label;
    private final double score;

    Category(String label, double score) {
        this.label = label;
        this.score = score;
    }

    public @NotNull String getLabel() {
        return label;
    }

    /** Its probability as the model sees it; of several labels, one applies above 0.5. */
    public double getScore() {
        return score;
    }

    @Override
    public String toString() {
        return label + " " + score;
    }
}
