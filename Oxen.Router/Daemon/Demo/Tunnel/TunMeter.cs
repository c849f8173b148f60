using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <param name="Error">Null: it was measured.</param>
/// <param name="LostPercent">Of UDP datagrams: those that did not come out at the other end.</param>
/// <param name="MissedPercent">Of UDP datagrams: those that came out and that the measuring program was too late for.</param>
internal sealed record TunRate(double MbitPerSecond, double LostPercent, string? Error, double MissedPercent = 0);

/// <summary>How much the tunnel carries: by iperf3 where it is installed, else by transfers of our own.</summary>
internal sealed class TunMeter(LabPlan plan, DemoTargets targets)
{
    public const string Program = "iperf3";

    private const int Port = 5202;
    private const int DatagramBytes = 1200;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public bool HasIperf { get; } = LabNeeds.Has(Program);

    public string Words => HasIperf ? Program : "own transfer, iperf3 is not installed";

    public Task<TunRate> TcpAsync(int streams, bool down, CancellationToken cancel) => HasIperf
        ? IperfAsync(down, ["-P", Text(streams)], cancel)
        : down ? ReadAsync(streams, cancel) : WriteAsync(streams, cancel);

    /// <param name="mbitPerSecond">What is sent.</param>
    public async Task<TunRate> UdpAsync(double mbitPerSecond, bool down, CancellationToken cancel)
    {
        if (!HasIperf) return await EchoAsync(mbitPerSecond, cancel).ConfigureAwait(false);
        ReceiveDrops drops = ReceiveDrops.In(down ? plan.Client.Space : plan.Target.Space);
        TunRate rate = await IperfAsync(down, ["-u", "-b", Text((long)(mbitPerSecond * 1e6)), "-l", Text(DatagramBytes)], cancel).ConfigureAwait(false);
        double sent = mbitPerSecond * 1e6 / 8 / DatagramBytes * Duration.TotalSeconds, missed = Math.Min(rate.LostPercent, 100 * drops.Since() / sent);
        return rate.Error is null ? rate with { LostPercent = rate.LostPercent - missed, MissedPercent = missed } : rate;
    }

    // ---- iperf3 ----

    private async Task<TunRate> IperfAsync(bool down, string[] more, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(Patience);
        try
        {
            await using var server = new LabProcess(plan.Target.Space, Program, "--server", "--one-off", "--port", Text(Port));
            string[] command = [Program, "--client", plan.Target.Address.ToString(), "--port", Text(Port), "--json", "--time", Text((int)Duration.TotalSeconds), "--connect-timeout", "5000", .. down ? ["--reverse"] : Array.Empty<string>(), .. more];
            for (int attempt = 0; ; attempt++)
            {
                await using var client = new LabProcess(plan.Client.Space, command);
                (_, string output, string errors) = await client.WaitAsync(limit.Token).ConfigureAwait(false);
                TunRate rate = Read(output, errors);

                // The server takes a moment to listen.
                if (rate.Error is null || attempt == 20 || !rate.Error.Contains("refused", StringComparison.Ordinal)) return rate;
                await Task.Delay(100, limit.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new TunRate(0, 100, $"iperf3 did not end within {Patience.TotalSeconds} s");
        }
    }

    private static TunRate Read(string output, string errors)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(output);
            if (json.RootElement.TryGetProperty("error", out JsonElement error)) return new TunRate(0, 100, $"iperf3: {error.GetString()}");
            JsonElement end = json.RootElement.GetProperty("end"), sum = end.TryGetProperty("sum_received", out JsonElement received) ? received : end.GetProperty("sum");
            double lost = sum.TryGetProperty("lost_percent", out JsonElement percent) ? percent.GetDouble() : 0;
            return new TunRate(sum.GetProperty("bits_per_second").GetDouble() / 1e6, lost, null);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return new TunRate(0, 100, $"iperf3 said nothing that can be read: {errors.Trim()}");
        }
    }

    // ---- without it ----

    private async Task<TunRate> ReadAsync(int streams, CancellationToken cancel)
    {
        using HttpClient http = LabHttp.In(plan.Client.Space);
        return await MeasureAsync(streams, async limit =>
        {
            long bytes = 0;
            await using Stream body = await http.GetStreamAsync(new Uri($"{targets.Url}bytes/{DemoTargets.MaxBytes}"), cancel).ConfigureAwait(false);
            byte[] buffer = new byte[128 * 1024];
            while (!limit.IsCancellationRequested)
            {
                int read = await body.ReadAsync(buffer, cancel).ConfigureAwait(false);
                if (read == 0) break;
                bytes += read;
            }

            return bytes;
        }, cancel).ConfigureAwait(false);
    }

    private async Task<TunRate> WriteAsync(int streams, CancellationToken cancel)
    {
        using HttpClient http = LabHttp.In(plan.Client.Space);
        return await MeasureAsync(streams, async limit =>
        {
            using var body = new TimedContent(limit);
            using HttpResponseMessage answer = await http.PutAsync(new Uri(targets.Url + "digest"), body, cancel).ConfigureAwait(false);
            answer.EnsureSuccessStatusCode(); // the server has read all
            return body.Bytes;
        }, cancel).ConfigureAwait(false);
    }

    private static async Task<TunRate> MeasureAsync(int streams, Func<CancellationToken, Task<long>> transfer, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(Duration);
        var watch = Stopwatch.StartNew();
        try
        {
            long[] bytes = await Task.WhenAll(Enumerable.Range(0, streams).Select(_ => transfer(limit.Token))).WaitAsync(Patience, cancel).ConfigureAwait(false);
            return new TunRate(bytes.Sum() * 8e-6 / watch.Elapsed.TotalSeconds, 0, null);
        }
        catch (Exception e) when (e is TimeoutException || DemoDownload.IsNetwork(e, cancel))
        {
            return new TunRate(0, 100, e.Message);
        }
    }

    // The target sends each datagram back: both ways at once.
    private async Task<TunRate> EchoAsync(double mbitPerSecond, CancellationToken cancel)
    {
        using Socket socket = Lab.Socket(plan.Client.Space, AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(new IPEndPoint(plan.Target.Address, targets.UdpPort), cancel).ConfigureAwait(false);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        int back = 0;
        Task reading = Task.Run(async () =>
        {
            byte[] buffer = new byte[2048];
            try
            {
                while (true)
                {
                    if (await socket.ReceiveAsync(buffer, over.Token).ConfigureAwait(false) == DatagramBytes) back++;
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
                // The end, or the sender hears of it as well.
            }
        }, CancellationToken.None);
        byte[] datagram = new byte[DatagramBytes];
        int sent = 0;
        var watch = Stopwatch.StartNew();
        try
        {
            while (watch.Elapsed < Duration)
            {
                double due = watch.Elapsed.TotalSeconds * mbitPerSecond * 1e6 / 8 / DatagramBytes;
                for (; sent < due; sent++) await socket.SendAsync(datagram, cancel).ConfigureAwait(false);
                await Task.Delay(1, cancel).ConfigureAwait(false);
            }
        }
        catch (SocketException e)
        {
            await over.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
            return new TunRate(0, 100, e.Message);
        }

        double seconds = watch.Elapsed.TotalSeconds;
        over.CancelAfter(TimeSpan.FromMilliseconds(500)); // what is under way
        await reading.ConfigureAwait(false);
        return new TunRate(back * DatagramBytes * 8e-6 / seconds, sent == 0 ? 100 : 100.0 * (sent - back) / sent, null);
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>A body that ends when the time is over.</summary>
    private sealed class TimedContent(CancellationToken limit) : HttpContent
    {
        public long Bytes { get; private set; }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            byte[] block = new byte[64 * 1024];
            while (!limit.IsCancellationRequested)
            {
                await stream.WriteAsync(block, CancellationToken.None).ConfigureAwait(false);
                Bytes += block.Length;
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
