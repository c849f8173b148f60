using System.Diagnostics;
using System.Security.Cryptography;

namespace Oxen.Router.Daemon.Demo;

/// <summary>One upload of the demo's check, and what was seen of it.</summary>
/// <param name="Error">What broke it, in words; null: the far end has the same digest.</param>
internal sealed record DemoUpload(double Seconds, string? Error)
{
    /// <summary>Sends `body` to `digest` of the demo's web server and compares the digest that it answers with.</summary>
    public static async Task<DemoUpload> RunAsync(HttpClient http, Uri web, byte[] body, TimeSpan patience, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(patience);
        var watch = Stopwatch.StartNew();
        try
        {
            using var content = new ByteArrayContent(body);
            using HttpResponseMessage answer = await http.PutAsync(new Uri(web, "digest"), content, limit.Token).ConfigureAwait(false);
            string told = await answer.Content.ReadAsStringAsync(limit.Token).ConfigureAwait(false);
            double seconds = watch.Elapsed.TotalSeconds;
            return new DemoUpload(seconds, told == Convert.ToHexStringLower(SHA256.HashData(body)) ? null : "the digest differs");
        }
        catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
        {
            return new DemoUpload(watch.Elapsed.TotalSeconds, e.Message);
        }
    }
}
