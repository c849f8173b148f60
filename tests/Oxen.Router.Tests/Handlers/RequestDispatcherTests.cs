using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Oxen.Router.Handlers;
using Oxen.Testing;

namespace Oxen.Router.Tests.Handlers;

public sealed class RequestDispatcherTests
{
    private sealed class Plugin(string name, params (string Method, RequestHandler Handler)[] handlers) : IRouterPlugin
    {
        public string Name => name;

        public IRequestMap? Kept { get; private set; }

        public void Map(IRequestMap requests, IRouterServices services)
        {
            Kept = requests;
            foreach ((string method, RequestHandler handler) in handlers) requests.Add(method, handler);
        }
    }

    private static RequestDispatcher Dispatcher(RequestHandler handler, RequestLimits? limits = null) =>
        RequestDispatcher.Create([new Plugin("test", ("do", handler))], new RouterServices(TimeProvider.System), limits);

    private static async Task<(ResponseCode Code, byte[] Body)> AskAsync(RequestDispatcher dispatcher, string method = "do", byte[]? body = null) =>
        await dispatcher.DispatchAsync(Encoding.ASCII.GetBytes(method), new ReadOnlySequence<byte>(body ?? []), RequestOrigin.Path, 0, static (code, answer, _) => ValueTask.FromResult((code, answer.ToArray())), CancellationToken.None);

    [Fact]
    public async Task A_handler_sees_body_and_origin_and_its_answer_comes_back()
    {
        RequestDispatcher dispatcher = Dispatcher(request =>
        {
            Assert.Equal("do", request.Method);
            Assert.Equal(RequestOrigin.Path, request.Origin);
            request.Response.Write(request.Body.FirstSpan);
            return ValueTask.FromResult(ResponseCode.NotFound);
        });
        (ResponseCode code, byte[] body) = await AskAsync(dispatcher, body: [1, 2, 3]);
        Assert.Equal(ResponseCode.NotFound, code);
        Assert.Equal<byte>([1, 2, 3], body);
    }

    [Fact]
    public async Task Unknown_methods_throwing_handlers_and_nonsense_codes_stay_contained()
    {
        var failures = new List<string>();
        RequestDispatcher dispatcher = RequestDispatcher.Create(
            [new Plugin("test", ("throw", _ => throw new InvalidOperationException("secret")), ("later", async _ =>
            {
                await Task.Yield();
                throw new FormatException();
            }), ("odd", _ => ValueTask.FromResult((ResponseCode)200)))],
            new RouterServices(TimeProvider.System),
            failed: (method, _) => failures.Add(method));
        Assert.Equal(ResponseCode.UnknownMethod, (await AskAsync(dispatcher, "nothing")).Code);
        Assert.Equal(ResponseCode.UnknownMethod, (await AskAsync(dispatcher, "THROW")).Code);
        Assert.Equal(ResponseCode.InternalError, (await AskAsync(dispatcher, "throw")).Code);
        Assert.Equal(ResponseCode.InternalError, (await AskAsync(dispatcher, "later")).Code);
        Assert.Equal(ResponseCode.InternalError, (await AskAsync(dispatcher, "odd")).Code);
        Assert.Equal(["throw", "later"], failures);
    }

    [Fact]
    public async Task Too_large_a_request_or_answer_is_said_to_be_so()
    {
        var limits = new RequestLimits { MaxRequestBytes = 10, MaxResponseBytes = 10 };
        RequestDispatcher dispatcher = Dispatcher(
            request =>
            {
                for (int i = 0; i < 11; i++) request.Response.Write(new byte[] { 1 });
                return ValueTask.FromResult(ResponseCode.Ok);
            },
            limits);
        Assert.Equal(ResponseCode.TooLarge, (await AskAsync(dispatcher)).Code);
        Assert.Equal(ResponseCode.TooLarge, (await AskAsync(dispatcher, body: new byte[11])).Code);
        RequestDispatcher exact = Dispatcher(
            request =>
            {
                for (int i = 0; i < 10; i++) request.Response.Write(new byte[] { 1 });
                return ValueTask.FromResult(ResponseCode.Ok);
            },
            limits);
        Assert.Equal(10, (await AskAsync(exact)).Body.Length);
    }

    [Fact]
    public async Task A_context_is_dead_after_its_handler_and_serves_another_request()
    {
        var seen = new List<(RequestContext Context, IBufferWriter<byte> Writer)>();
        RequestDispatcher dispatcher = Dispatcher(request =>
        {
            seen.Add((request, request.Response));
            return ValueTask.FromResult(ResponseCode.Ok);
        });
        await AskAsync(dispatcher);
        (RequestContext context, IBufferWriter<byte> writer) = seen[0];
        Assert.Throws<InvalidOperationException>(() => context.Method);
        Assert.Throws<InvalidOperationException>(() => context.Body);
        Assert.Throws<InvalidOperationException>(() => context.Response);
        Assert.Throws<InvalidOperationException>(() => context.Aborted);
        Assert.Throws<InvalidOperationException>(() => context.Origin);
        Assert.Throws<InvalidOperationException>(() => writer.Write(new byte[] { 1 }));
        await AskAsync(dispatcher);
        Assert.Same(seen[0].Context, seen[1].Context);
    }

    [Fact]
    public async Task A_handler_that_never_ends_is_timed_out_and_its_context_is_never_used_again()
    {
        var seen = new List<RequestContext>();
        var never = new TaskCompletionSource<ResponseCode>();
        RequestDispatcher dispatcher = Dispatcher(
            request =>
            {
                seen.Add(request);
                return seen.Count == 1 ? new ValueTask<ResponseCode>(never.Task) : ValueTask.FromResult(ResponseCode.Ok);
            },
            new RequestLimits { HandlerTime = TimeSpan.FromMilliseconds(1) });
        Assert.Equal(ResponseCode.TimedOut, (await AskAsync(dispatcher)).Code);
        Assert.Equal(ResponseCode.Ok, (await AskAsync(dispatcher)).Code);
        Assert.NotSame(seen[0], seen[1]);
    }

    [Fact]
    public void A_method_belongs_to_one_plugin_has_a_plain_name_and_is_mapped_at_start_only()
    {
        RequestHandler handler = _ => ValueTask.FromResult(ResponseCode.Ok);
        var services = new RouterServices(TimeProvider.System);
        Assert.Throws<InvalidOperationException>(() => RequestDispatcher.Create([new Plugin("a", ("x", handler)), new Plugin("b", ("x", handler))], services));
        Assert.Throws<ArgumentException>(() => RequestDispatcher.Create([new Plugin("a", ("X y", handler))], services));
        Assert.Throws<ArgumentException>(() => RequestDispatcher.Create([new Plugin("a", (new string('x', 65), handler))], services));
        var late = new Plugin("a", ("x", handler));
        RequestDispatcher.Create([late], services);
        Assert.Throws<InvalidOperationException>(() => late.Kept!.Add("y", handler));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1000)]
    public async Task A_stream_carries_one_request_whole_or_in_bytes(int step)
    {
        RequestDispatcher dispatcher = Dispatcher(request =>
        {
            foreach (ReadOnlyMemory<byte> part in request.Body) request.Response.Write(part.Span);
            return ValueTask.FromResult(ResponseCode.Ok);
        });
        byte[] body = new byte[200_000 / (step == 1 ? 100 : 1)];
        Random.Shared.NextBytes(body);
        byte[] head = new byte[RequestFraming.MaxRequestHeadBytes];
        byte[] message = [.. head[..RequestFraming.WriteRequestHead("do"u8, body.Length, head)], .. body];
        var pair = new PipePair();
        Task served = new RequestStreamHandler(dispatcher, TimeProvider.System).RunAsync(pair.Far, RequestOrigin.Link, CancellationToken.None);
        Task sending = Task.Run(async () =>
        {
            for (int at = 0; at < message.Length; at += step) await pair.Near.Output.WriteAsync(message.AsMemory(at, Math.Min(step, message.Length - at)));
        });
        var answer = new MemoryStream();
        await pair.Near.Input.CopyToAsync(answer).WaitAsync(TimeSpan.FromSeconds(30));
        await sending;
        await served;
        Assert.Equal(body, answer.ToArray()[RequestFraming.ResponseHeadBytes..]);
    }

    [Fact]
    public async Task An_announced_length_above_the_limit_is_refused_before_the_body()
    {
        var pair = new PipePair();
        Task served = new RequestStreamHandler(Dispatcher(_ => ValueTask.FromResult(ResponseCode.Ok)), TimeProvider.System).RunAsync(pair.Far, RequestOrigin.Link, CancellationToken.None);
        await pair.Near.Output.WriteAsync(new byte[] { 2, (byte)'d', (byte)'o', 0xFF, 0xFF, 0xFF, 0xFF });
        ReadResult read = await pair.Near.Input.ReadAtLeastAsync(5);
        Assert.Equal((byte)ResponseCode.TooLarge, read.Buffer.FirstSpan[0]);
        await served;
    }
}
