namespace Oxen.Router.Core.Onion;

/// <summary>Upstream is away from the client, downstream towards it. The values are on the wire (in the tweak).</summary>
internal enum PathDirection : byte
{
    Upstream = 0,
    Downstream = 1,
}
