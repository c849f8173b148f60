using System.Net;
using System.Text;
using System.Text.Json;

namespace Oxen.Ons.Tests.Rpc;

/// <summary>Says over HTTP what an oxend was seen to say, or a lie, by method.</summary>
internal sealed class MockOxend : IAsyncDisposable
{
    private readonly HttpListener _listener;
    private readonly Func<string, JsonElement, string> _answer;
    private readonly Task _loop;

    public MockOxend(Func<string, JsonElement, string> answer)
    {
        _answer = answer;
        for (int i = 0; ; i++)
        {
            int port = 20_000 + Random.Shared.Next(30_000);
            _listener = new HttpListener { Prefixes = { $"http://127.0.0.1:{port}/" } }; // one that could not start is of no more use
            try
            {
                _listener.Start();
                Address = new Uri($"http://127.0.0.1:{port}/");
                break;
            }
            catch (HttpListenerException) when (i < 50)
            {
                // taken; another one
            }
        }

        _loop = ServeAsync();
    }

    public Uri Address { get; }

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _loop;
        _listener.Close();
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            try
            {
                HttpListenerContext context = await _listener.GetContextAsync();
                using JsonDocument request = await JsonDocument.ParseAsync(context.Request.InputStream);
                string result = _answer(request.RootElement.GetProperty("method").GetString()!, request.RootElement.GetProperty("params"));
                byte[] bytes = Encoding.UTF8.GetBytes(result.StartsWith('!') ? result[1..] : $$"""{"jsonrpc":"2.0","id":"0","result":{{result}}}""");
                context.Response.ContentType = "application/json";
                await context.Response.OutputStream.WriteAsync(bytes);
                context.Response.Close();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                // stopped, or the caller left
            }
        }
    }
}
