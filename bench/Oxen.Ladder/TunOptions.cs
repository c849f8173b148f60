using System.Globalization;

namespace Oxen.Ladder;

/// <summary>Options of the rung `tun`.</summary>
internal sealed class TunOptions
{
    public int Rounds { get; private set; } = 5;

    public int Seconds { get; private set; } = 3;

    public int[] Streams { get; private set; } = [1, 4];

    public int[] Families { get; private set; } = [4, 6];

    public string[] Directions { get; private set; } = ["up", "down"];

    public string[] Machines { get; private set; } = ["veth", "c", "lane"];

    /// <summary>Of the streams; null leaves the system's own.</summary>
    public string? Congestion { get; private set; }

    /// <summary>Packets that the TUN devices queue.</summary>
    public int Queue { get; private set; } = 64;

    /// <summary>Busy loops at the side, on these CPUs.</summary>
    public int[] Busy { get; private set; } = [];

    /// <summary>Nice value of the machines' ends; the streams' own programs stay at 0.</summary>
    public int Nice { get; private set; }

    /// <summary>Receive buffer of the C program.</summary>
    public int ReceiveBuffer { get; private set; } = 32 << 20;

    public const string Usage = """
        options of tun: --rounds 5  --seconds 3  --streams 1,4  --families 4,6  --directions up,down  --machines veth,c,lane (also: layers, run)
                        --congestion cubic  --queue 64  --busy CPU,CPU (a busy loop for each)
                        --nice 0 (of the machines' ends)  --receive-buffer 33554432 (of the C program)
        """;

    public static TunOptions? Parse(ReadOnlySpan<string> args)
    {
        var o = new TunOptions();
        for (int i = 0; i < args.Length; i += 2)
        {
            string value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--rounds" when int.TryParse(value, out int n) && n > 0:
                    o.Rounds = n;
                    break;
                case "--seconds" when int.TryParse(value, out int n) && n is > 0 and <= 3600:
                    o.Seconds = n;
                    break;
                case "--streams" when Numbers(value, 1, 128) is { } n:
                    o.Streams = n;
                    break;
                case "--families" when Numbers(value, 4, 6) is { } n && !n.Contains(5):
                    o.Families = n;
                    break;
                case "--directions" when value.Split(',').All(v => v is "up" or "down"):
                    o.Directions = value.Split(',');
                    break;
                case "--machines" when value.Split(',').All(v => v is "veth" or "c" or "lane" or "layers" or "run"):
                    o.Machines = value.Split(',');
                    break;
                case "--congestion" when value.Length > 0:
                    o.Congestion = value;
                    break;
                case "--queue" when int.TryParse(value, out int n) && n > 0:
                    o.Queue = n;
                    break;
                case "--busy" when Numbers(value, 0, Environment.ProcessorCount - 1) is { } n:
                    o.Busy = n;
                    break;
                case "--nice" when int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int n) && n is >= -20 and <= 19:
                    o.Nice = n;
                    break;
                case "--receive-buffer" when int.TryParse(value, out int n) && n > 0:
                    o.ReceiveBuffer = n;
                    break;
                default:
                    Console.Error.WriteLine($"not understood: {args[i]} {value}");
                    Console.Error.WriteLine(Usage);
                    return null;
            }
        }

        return o;
    }

    private static int[]? Numbers(string value, int least, int most)
    {
        string[] parts = value.Split(',');
        int[] numbers = new int[parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i]) || numbers[i] < least || numbers[i] > most) return null;
        }

        return numbers;
    }
}
