using System.Text;
using Oxen.Testing;

namespace Oxen.Fuzz.Doors;

/// <summary>
/// Feeds one parser with random, cut and mutated-valid bytes. Each input may allocate only so much; whatever the parser throws
/// fails the test with the input's number, which with the seed is the input.
/// </summary>
internal static class ParserFuzz
{
    public delegate bool Parser(ReadOnlySpan<byte> input);

    /// <summary>OXEN_FUZZ_SCALE: so many times the usual number of inputs.</summary>
    private static readonly double Scale = double.TryParse(Environment.GetEnvironmentVariable("OXEN_FUZZ_SCALE"), out double asked) && asked > 0 ? asked : 1;

    /// <param name="parse">True: the input got past the parser's first check.</param>
    /// <param name="allocation">Bytes that one input may allocate.</param>
    /// <param name="alphabet">Where random bytes are drawn from; empty: any byte.</param>
    public static void Run(string name, int rounds, byte[][] valid, long allocation, Parser parse, string alphabet = "", double share = 0.3)
    {
        rounds = (int)Math.Min(int.MaxValue, rounds * Scale);
        var random = new SeededEntropy(SimWorld.SeedOr(77));
        byte[] letters = Encoding.Latin1.GetBytes(alphabet);
        byte[] work = new byte[valid.Max(v => v.Length) + 64];
        foreach (byte[] good in valid) Assert.True(parse(good), $"{name}: a valid input is refused: {Convert.ToHexString(good)}");

        // Random numbers are drawn in blocks: the parser is what takes the time.
        byte[] pool = new byte[1 << 20];
        random.FillPublic(pool);
        int at = 0;
        uint Draw(int bound)
        {
            if (at + 4 > pool.Length) at = random.Next(64);
            uint drawn = BitConverter.ToUInt32(pool, at) % (uint)bound;
            at += 3;
            return drawn;
        }

        byte Letter() => letters.Length == 0 ? (byte)Draw(256) : letters[Draw(letters.Length)];

        int past = 0;
        long most = 0;
        for (int round = 0; round < rounds; round++)
        {
            byte[] seed = valid[Draw(valid.Length)];
            int length = seed.Length;
            seed.CopyTo(work, 0);
            switch (round % 5)
            {
                case 0:   // any bytes
                    length = (int)Draw(work.Length);
                    for (int i = 0; i < length; i++) work[i] = Letter();
                    break;
                case 1:   // cut short
                    length = (int)Draw(length + 1);
                    break;
                case 2:   // a few bytes changed
                    for (uint n = Draw(4); n < 4 && length > 0; n++) work[Draw(length)] = Draw(8) == 0 ? (byte)Draw(256) : Letter();
                    break;
                case 3:   // a piece doubled or taken out
                    int from = (int)Draw(length + 1), piece = (int)Draw(Math.Min(32, length - from) + 1);
                    if (Draw(2) == 0)
                    {
                        work.AsSpan(from, length - from).CopyTo(work.AsSpan(from + piece));
                        length += piece;
                    }
                    else
                    {
                        work.AsSpan(from + piece, length - from - piece).CopyTo(work.AsSpan(from));
                        length -= piece;
                    }

                    break;
                default:  // the head of one, the rest of another
                    byte[] other = valid[Draw(valid.Length)];
                    int cut = (int)Draw(Math.Min(length, other.Length) + 1);
                    other.AsSpan(cut).CopyTo(work.AsSpan(cut));
                    length = other.Length;
                    break;
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                if (parse(work.AsSpan(0, length))) past++;
            }
            catch (Exception e)
            {
                Assert.Fail($"{name}, input {round}: {e.GetType().Name} {e.Message} at {e.StackTrace}\n{Convert.ToHexString(work.AsSpan(0, length))}");
            }

            most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {rounds} inputs, {100.0 * past / rounds:F0} % past the first check, at most {most} B allocated by one");
        Assert.True(most <= allocation, $"{name}: one input allocated {most} B, allowed are {allocation}");
        Assert.True(past >= share * rounds, $"{name}: only {past} of {rounds} inputs got past the first check");
    }
}
