using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Oxen.Router.Daemon.Demo;

/// <summary>One download of the demo's check, and what was seen of it.</summary>
/// <param name="Digest">SHA-256 of what arrived.</param>
/// <param name="SilenceMilliseconds">The longest time without a byte after something was done midway.</param>
/// <param name="Error">What broke it, in words; null: it arrived whole.</param>
internal sealed record DemoDownload(byte[] Digest, double Seconds, double SilenceMilliseconds, string? Error)
{
    public bool Is(byte[] expected) => Error is null && Digest.AsSpan().SequenceEqual(expected);

    /// <summary>Fetches `bytes/LENGTH` of the demo's web server. `midway` is called after a quarter.</summary>
    public static async Task<DemoDownload> RunAsync(HttpClient http, Uri web, long length, Action? midway, TimeSpan patience, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(patience);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[128 * 1024];
        var watch = Stopwatch.StartNew();
        double silence = 0;
        try
        {
            using HttpResponseMessage answer = await http.GetAsync(new Uri(web, $"bytes/{length}"), HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false);
            await using Stream body = await answer.EnsureSuccessStatusCode().Content.ReadAsStreamAsync(limit.Token).ConfigureAwait(false);
            long received = 0;
            long last = 0;
            while (true)
            {
                int read = await body.ReadAsync(buffer, limit.Token).ConfigureAwait(false);
                if (last != 0) silence = Math.Max(silence, Stopwatch.GetElapsedTime(last).TotalMilliseconds);
                if (read == 0) break;
                hash.AppendData(buffer, 0, read);
                received += read;
                if (midway is not null && received > length / 4)
                {
                    midway();
                    midway = null;
                    last = Stopwatch.GetTimestamp();
                }
                else if (last != 0)
                {
                    last = Stopwatch.GetTimestamp();
                }
            }

            string? error = received == length ? null : $"{received} of {length} bytes arrived";
            return new DemoDownload(hash.GetHashAndReset(), watch.Elapsed.TotalSeconds, silence, error);
        }
        catch (Exception e) when (IsNetwork(e, cancel))
        {
            return new DemoDownload([], watch.Elapsed.TotalSeconds, silence, e.Message);
        }
    }

    /// <summary>The network's trouble, not ours and not the end that was asked for.</summary>
    public static bool IsNetwork(Exception e, CancellationToken cancel) =>
        e is HttpRequestException or IOException or SocketException or OperationCanceledException && !cancel.IsCancellationRequested;
}
