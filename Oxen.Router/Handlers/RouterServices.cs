using System.Security.Cryptography;

namespace Oxen.Router.Handlers;

/// <summary>What a running router gives its plug-ins.</summary>
internal sealed class RouterServices(TimeProvider time) : IRouterServices
{
    public TimeProvider Time { get; } = time;

    public void FillRandom(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
}
