using System.Globalization;

namespace Oxen.Ladder;

internal sealed class LadderOptions
{
    public int[] Segments { get; private set; } = [1, 16, 45];

    public int Repetitions { get; private set; } = 5;

    public TimeSpan Period { get; private set; } = TimeSpan.FromSeconds(1);

    public TimeSpan WarmUp { get; private set; } = TimeSpan.FromSeconds(2);

    public int Window { get; private set; } = 1024;

    public int ForwarderCpu { get; private set; }

    public int GeneratorCpu { get; private set; } = Environment.ProcessorCount > 1 ? 1 : 0;

    /// <summary>First of the ports that the C program listens on.</summary>
    public int Port { get; set; } = 47100;

    /// <summary>Reads `--name value` pairs; null with a message on standard error if one is wrong.</summary>
    public static LadderOptions? Parse(ReadOnlySpan<string> args)
    {
        var o = new LadderOptions();
        for (int i = 0; i < args.Length; i += 2)
        {
            string value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--segments" when value.Split(',').All(v => int.TryParse(v, out int n) && n is >= 1 and <= 45):
                    o.Segments = [.. value.Split(',').Select(v => int.Parse(v, CultureInfo.InvariantCulture))];
                    break;
                case "--repetitions" when int.TryParse(value, out int n) && n > 0:
                    o.Repetitions = n;
                    break;
                case "--seconds" when double.TryParse(value, CultureInfo.InvariantCulture, out double s) && s > 0:
                    o.Period = TimeSpan.FromSeconds(s);
                    o.WarmUp = TimeSpan.FromSeconds(Math.Max(1, 2 * s));
                    break;
                case "--window" when int.TryParse(value, out int n) && n > 0:
                    o.Window = n;
                    break;
                case "--cpus" when value.Split(',') is [var a, var b] && int.TryParse(a, out int f) && int.TryParse(b, out int g):
                    o.ForwarderCpu = f;
                    o.GeneratorCpu = g;
                    break;
                case "--port" when int.TryParse(value, out int n) && n is > 0 and < 65000:
                    o.Port = n;
                    break;
                default:
                    Console.Error.WriteLine($"not understood: {args[i]} {value}");
                    return null;
            }
        }

        return o;
    }

    public void PrintHeader(string title)
    {
        Console.WriteLine(title);
        string load = File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Trim() : "unknown";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Environment.OSVersion}, {Environment.ProcessorCount} CPUs, .NET {Environment.Version}, load {load}; {Repetitions} samples of {Period.TotalSeconds} s each, taking turns, window {Window}; ns = CPU time of the forwarder's thread"));
    }
}
