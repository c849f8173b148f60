namespace Oxen.Router.Core.Onion;

/// <summary>The body length of a path's packets, fixed when the path is built. The values are on the wire.</summary>
internal enum SizeClass : byte
{
    /// <summary>1376 bytes of body, 1424 on the wire.</summary>
    Full = 0,

    /// <summary>1184 bytes of body, 1232 on the wire: fits IPv6 at its least MTU.</summary>
    Reduced = 1,
}
