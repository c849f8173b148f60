namespace Oxen.Router.Daemon.Terminal;

/// <summary>Finds the word that was probably meant: the fewest edits (insert, delete, replace, swap), at most a third of its length.</summary>
internal static class Nearest
{
    public static string? Find(string given, IEnumerable<string> known)
    {
        if (given.Length > 64) return null;
        string? best = null;
        int bestDistance = int.MaxValue;
        foreach (string word in known)
        {
            int distance = Distance(given.ToLowerInvariant(), word);
            if (distance >= bestDistance || distance > Math.Max(1, Math.Max(word.Length, given.Length) / 3)) continue;
            best = word;
            bestDistance = distance;
        }

        return best;
    }

    // Optimal string alignment.
    private static int Distance(string a, string b)
    {
        int[,] d = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) d[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) d[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                int cost = a[i - 1] == b[j - 1] ? 0 : 1;
                d[i, j] = Math.Min(Math.Min(d[i - 1, j] + 1, d[i, j - 1] + 1), d[i - 1, j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        }

        return d[a.Length, b.Length];
    }
}
