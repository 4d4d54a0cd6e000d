package edgekd.bundle;

import org.json.JSONException;
import org.json.JSONObject;

/**
 * Recordings as log-mel features, in double and in the order of docs/package.md. Sines and
 * logarithms are series of their own: those of libraries differ in their last bit.
 */
final class Sounds implements Reader {
    private static final double LEAST_ENERGY = 1e-9;
    private static final double LN2 = 0.6931471805599453;
    private static final double HALF_PI = 1.5707963267948966;
    private static final double ROOT_OF_HALF = 0.7071067811865476;

    private final int rate;
    private final int samples;
    private final int hop;
    private final double[] window;
    /** Of the window's sum. */
    private final double square;
    /** Triangles, bands x bins. */
    private final double[][] banks;
    /** Cosine and sine of 2 pi k / length. */
    private final double[] cosines;
    private final double[] sines;

    Sounds(Spec spec) {
        JSONObject told = spec.inputs[0].sound;
        int length;
        double[] edges;
        try {
            rate = told.getInt("rate");
            samples = told.getInt("samples");
            hop = told.getInt("hop");
            length = told.getInt("fft");
            window = new double[told.getInt("window")];
            edges = Spec.numbers(told.getJSONArray("edges_hz"));
        } catch (JSONException error) {
            throw new ModelException("spec.json lacks a field: package the model again.", error);
        }
        double sum = 0;
        for (int at = 0; at < window.length; at++) {
            window[at] = 0.5 - 0.5 * turn(at, window.length)[0];
            sum += window[at];
        }
        square = sum * sum;
        banks = banks(edges, length);
        cosines = new double[length];
        sines = new double[length];
        for (int at = 0; at < length; at++) {
            double[] both = turn(at, length);
            cosines[at] = both[0];
            sines[at] = both[1];
        }
    }

    int rate() {
        return rate;
    }

    /** Raw numbers of samples within -1 to 1 of any count: cut, or silence on both sides. */
    float[][] raw(float[] mono) {
        if (mono.length == 0) {
            throw new ModelException("The recording has no samples.");
        }
        float[] fitted = new float[samples];
        int before = Math.max(0, (samples - mono.length) / 2);
        System.arraycopy(mono, 0, fitted, before, Math.min(samples, mono.length));
        int frames = 1 + (samples - window.length) / hop;
        float[] found = new float[frames * banks.length];
        double[] real = new double[cosines.length];
        double[] imaginary = new double[cosines.length];
        for (int frame = 0; frame < frames; frame++) {
            for (int at = 0; at < real.length; at++) {
                int place = at; // the order of reversed bits
                if (real.length > 1) {
                    place = Integer.reverse(at) >>> (Integer.numberOfLeadingZeros(real.length) + 1);
                }
                boolean inside = place < window.length;
                real[at] = inside ? fitted[frame * hop + place] * window[place] : 0;
                imaginary[at] = 0;
            }
            fourier(real, imaginary);
            for (int band = 0; band < banks.length; band++) {
                double energy = energy(real, imaginary, banks[band]);
                found[frame * banks.length + band] = (float) logarithm(LEAST_ENERGY + energy);
            }
        }
        return new float[][] {found};
    }

    /** The same of 16-bit samples, as AudioRecord gives them. */
    float[][] raw(short[] pcm) {
        float[] mono = new float[pcm.length];
        for (int at = 0; at < pcm.length; at++) {
            mono[at] = pcm[at] / 32768f;
        }
        return raw(mono);
    }

    /** ((2 number + 1) i^2 + 37 i) mod 65536 / 32768 - 1: through all frequencies. */
    @Override
    public float[][] golden(JSONObject sample) throws JSONException {
        int number = sample.getInt("made_up");
        float[] mono = new float[samples];
        for (int at = 0; at < samples; at++) {
            long i = at;
            mono[at] = ((2 * number + 1) * i * i + 37 * i) % 65536 / 32768f - 1;
        }
        return raw(mono);
    }

    private double energy(double[] real, double[] imaginary, double[] bank) {
        double sum = 0;
        for (int bin = 0; bin < bank.length; bin++) {
            double power = real[bin] * real[bin] + imaginary[bin] * imaginary[bin];
            sum += power / square * bank[bin];
        }
        return sum;
    }

    /** The discrete Fourier transform of reordered samples in place: radix 2, decimation in time. */
    private void fourier(double[] real, double[] imaginary) {
        int length = real.length;
        for (int half = 1; half < length; half *= 2) {
            for (int turn = 0; turn < half; turn++) {
                double cosine = cosines[turn * (length / (2 * half))];
                double sine = sines[turn * (length / (2 * half))];
                for (int at = turn; at < length; at += 2 * half) {
                    int odd = at + half;
                    double x = cosine * real[odd] + sine * imaginary[odd];
                    double y = cosine * imaginary[odd] - sine * real[odd];
                    real[odd] = real[at] - x;
                    imaginary[odd] = imaginary[at] - y;
                    real[at] = real[at] + x;
                    imaginary[at] = imaginary[at] + y;
                }
            }
        }
    }

    private double[][] banks(double[] edges, int length) {
        double[][] found = new double[edges.length - 2][length / 2 + 1];
        for (int band = 0; band < found.length; band++) {
            double left = edges[band];
            double centre = edges[band + 1];
            double right = edges[band + 2];
            for (int bin = 0; bin < found[band].length; bin++) {
                double hertz = (double) ((long) bin * rate) / length;
                double rising = (hertz - left) / (centre - left);
                double falling = (right - hertz) / (right - centre);
                found[band][bin] = Math.max(0.0, Math.min(rising, falling));
            }
        }
        return found;
    }

    /** Cosine and sine of 2 pi part / whole, 0 <= part < whole: Taylor's series up to pi / 4. */
    private static double[] turn(int part, int whole) {
        int quarter = 4 * part / whole;
        int rest = 4 * part % whole;
        boolean swap = 2 * rest > whole;
        double x = (double) (swap ? whole - rest : rest) / whole * HALF_PI;
        double z = x * x;
        double cosine = 1;
        double sine = 1;
        for (int term = 9; term > 0; term--) {
            cosine = 1.0 - z * cosine / ((2 * term - 1) * (2 * term));
            sine = 1.0 - z * sine / ((2 * term) * (2 * term + 1));
        }
        sine = sine * x;
        double first = swap ? sine : cosine;
        double second = swap ? cosine : sine;
        if (quarter % 2 == 1) {
            double kept = first;
            first = -second;
            second = kept;
        }
        return quarter >= 2 ? new double[] {-first, -second} : new double[] {first, second};
    }

    /** ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)), with m from the root of 1/2 to that of 2. */
    private static double logarithm(double x) {
        int e = Math.getExponent(x) + 1;
        double m = Math.scalb(x, -e); // 0.5 <= m < 1
        if (m < ROOT_OF_HALF) {
            m = m * 2.0;
            e = e - 1;
        }
        double f = (m - 1.0) / (m + 1.0);
        double squared = f * f;
        double series = 1.0 / 23.0;
        for (int term = 21; term > 0; term -= 2) {
            series = series * squared + 1.0 / term;
        }
        return e * LN2 + 2.0 * f * series;
    }
}
