using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>How far an input came.</summary>
internal enum Fate
{
    /// <summary>Refused by the first check of length or kind.</summary>
    Refused,

    /// <summary>Past the first check, and refused later.</summary>
    Past,

    /// <summary>Read to its end.</summary>
    Accepted,
}

/// <summary>
/// Feeds one parser with random, cut, spliced and mutated-valid bytes. Each input may allocate only so much; whatever the parser throws
/// fails the test with the input's number, which with the seed is the input. OXEN_FUZZ_INPUTS sets the number of inputs of every parser.
/// </summary>
internal static class ParserFuzz
{
    public delegate bool Parser(ReadOnlySpan<byte> input);

    public delegate Fate Judge(ReadOnlySpan<byte> input);

    /// <summary>May set what a mutation breaks and a hostile sender would not: a length field, a checksum.</summary>
    public delegate void Repair(Span<byte> input);

    private static readonly byte[] Edges = [0, 1, 2, 0x1F, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0xBF, 0xC0, 0xFE, 0xFF];

    /// <summary>OXEN_FUZZ_INPUTS when set.</summary>
    public static int InputsOr(int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable("OXEN_FUZZ_INPUTS"), CultureInfo.InvariantCulture, out int asked) && asked > 0 ? asked : usual;

    /// <param name="parse">True: the input got past the parser's first check.</param>
    /// <param name="allocation">Bytes that one input may allocate.</param>
    /// <param name="alphabet">Where random bytes are drawn from; empty: any byte.</param>
    public static void Run(string name, int rounds, byte[][] valid, long allocation, Parser parse, string alphabet = "", double share = 0.3)
        => Run(name, rounds, valid, allocation, b => parse(b) ? Fate.Past : Fate.Refused, alphabet, share, leastAccepted: 0);

    /// <param name="leastAccepted">Share of inputs that must be read to their end: who refuses everything passes no fuzz test.</param>
    public static void Run(string name, int rounds, byte[][] valid, long allocation, Judge judge, string alphabet = "", double share = 0.3, double leastAccepted = 0.005, Repair? repair = null)
    {
        rounds = InputsOr(rounds);
        byte[] letters = Encoding.Latin1.GetBytes(alphabet);
        byte[] work = new byte[valid.Max(v => v.Length) + 64];
        foreach (byte[] good in valid) Assert.True(judge(good) != Fate.Refused, $"{name}: a valid input is refused: {Convert.ToHexString(good)}");

        // SplitMix64: what takes the time is the parser.
        ulong state = SimWorld.SeedOr(77);
        uint Draw(int bound)
        {
            ulong z = state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return (uint)((z ^ (z >> 31)) % (ulong)bound);
        }

        byte Letter() => letters.Length == 0 ? (byte)Draw(256) : letters[Draw(letters.Length)];

        // Most fields of a packet stand at its front; of a text, anywhere.
        int Place(int length) => (int)(letters.Length == 0 && Draw(2) == 0 ? Draw(Math.Min(length, 64)) : Draw(length));

        int[] fates = new int[3];
        long most = 0;
        for (int round = 0; round < rounds; round++)
        {
            byte[] seed = valid[Draw(valid.Length)];
            int length = seed.Length;
            seed.CopyTo(work, 0);
            switch (round % 8)
            {
                case 0:   // any bytes
                    length = (int)Draw(Math.Min(work.Length, 512));
                    for (int i = 0; i < length; i++) work[i] = Letter();
                    break;
                case 1:   // cut short
                    length = (int)Draw(length + 1);
                    break;
                case 2:   // a piece doubled or taken out
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
                case 3:   // the head of one, the rest of another
                    byte[] other = valid[Draw(valid.Length)];
                    int cut = (int)Draw(Math.Min(length, other.Length) + 1);
                    other.AsSpan(cut).CopyTo(work.AsSpan(cut));
                    length = other.Length;
                    break;
                case 4:   // a byte at an edge of what bytes mean, or a length that is not so
                    if (letters.Length == 0 && length >= 2 && Draw(2) == 0) BinaryPrimitives.WriteUInt16BigEndian(work.AsSpan(Math.Min(Place(length), length - 2)), (ushort)(Draw(3) == 0 ? Draw(65536) : Draw(length + 2)));
                    else if (length > 0) work[Place(length)] = Edges[Draw(Edges.Length)];
                    break;
                case 5:   // a bit
                    if (length > 0) work[Place(length)] ^= (byte)(1 << (int)Draw(8));
                    break;
                default:  // a few bytes changed
                    for (uint n = Draw(4); n < 4 && length > 0; n++) work[Place(length)] = Draw(8) == 0 ? (byte)Draw(256) : Letter();
                    break;
            }

            repair?.Invoke(work.AsSpan(0, length));
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                fates[(int)judge(work.AsSpan(0, length))]++;
            }
            catch (Exception e)
            {
                Assert.Fail($"{name}, input {round}: {e.GetType().Name} {e.Message} at {e.StackTrace}\n{Convert.ToHexString(work.AsSpan(0, length))}");
            }

            most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        int accepted = fates[(int)Fate.Accepted], past = fates[(int)Fate.Past] + accepted;
        string read = leastAccepted > 0 ? string.Create(CultureInfo.InvariantCulture, $", {100.0 * accepted / rounds:F1} % read to the end") : "";
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {rounds} inputs, {100.0 * past / rounds:F0} % past the first check{read}, at most {most} B allocated by one"));
        Assert.True(most <= allocation, $"{name}: one input allocated {most} B, allowed are {allocation}");
        Assert.True(past >= share * rounds, $"{name}: only {past} of {rounds} inputs got past the first check");
        Assert.True(accepted >= leastAccepted * rounds, $"{name}: only {accepted} of {rounds} inputs were read to the end");
    }
}
