namespace Oxen.Router.Core;

/// <summary>
/// Where Core's random bytes come from: the operating system in a running router, a seed in simulation.
/// Public bytes may be seen by others (connection ids, padding); secret bytes become keys.
/// </summary>
internal interface IEntropy
{
    void FillPublic(Span<byte> destination);

    void FillSecret(Span<byte> destination);
}
