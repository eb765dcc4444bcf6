import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The trees of a LightGBM text file, walked node by node as LightGBM itself does. */
final class Forest {
    private static final double ZERO = 1e-35;
    private static final int CATEGORICAL = 1, DEFAULT_LEFT = 2, MISSING_ZERO = 1, MISSING_NAN = 2;

    private record Tree(int[] feature, double[] threshold, int[] decision, int[] left, int[] right, double[] leaf) {
        double value(double[] row) {
            if (feature.length == 0) {
                return leaf[0];
            }
            int node = 0;
            while (node >= 0) {
                node = goesLeft(row[feature[node]], node) ? left[node] : right[node];
            }
            return leaf[~node];
        }

        private boolean goesLeft(double value, int node) {
            int missing = decision[node] >> 2 & 3;
            if (Double.isNaN(value) && missing != MISSING_NAN) {
                value = 0.0;
            }
            boolean absent = missing == MISSING_ZERO && Math.abs(value) <= ZERO
                || missing == MISSING_NAN && Double.isNaN(value);
            return absent ? (decision[node] & DEFAULT_LEFT) != 0 : value <= threshold[node];
        }
    }

    private final List<Tree> trees = new ArrayList<>();

    Forest(Path file) throws IOException {
        for (String block : Files.readString(file).split("\n\n")) {
            if (block.strip().startsWith("Tree=")) {
                trees.add(tree(block.strip()));
            }
        }
    }

    /** The sum of the leaves: the raw score, before any sigmoid. */
    double margin(double[] row) {
        double sum = 0;
        for (Tree tree : trees) {
            sum += tree.value(row);
        }
        return sum;
    }

    private static Tree tree(String block) {
        Map<String, String[]> fields = new HashMap<>();
        for (String line : block.split("\n")) {
            int equals = line.indexOf('=');
            String values = line.substring(equals + 1).strip();
            fields.put(line.substring(0, equals), values.isEmpty() ? new String[0] : values.split(" "));
        }
        int[] decision = whole(fields.get("decision_type"));
        for (int type : decision) {
            if ((type & CATEGORICAL) != 0) {
                throw new IllegalArgumentException("a categorical split, which no profile of ours makes");
            }
        }
        return new Tree(
            whole(fields.get("split_feature")), real(fields.get("threshold")), decision,
            whole(fields.get("left_child")), whole(fields.get("right_child")), real(fields.get("leaf_value")));
    }

    private static int[] whole(String[] texts) {
        int[] values = new int[texts.length];
        for (int i = 0; i < texts.length; i++) {
            values[i] = Integer.parseInt(texts[i]);
        }
        return values;
    }

    private static double[] real(String[] texts) {
        double[] values = new double[texts.length];
        for (int i = 0; i < texts.length; i++) {
            values[i] = Double.parseDouble(texts[i]);
        }
        return values;
    }
}
