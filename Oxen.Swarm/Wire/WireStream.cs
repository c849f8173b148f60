namespace Oxen.Swarm.Wire;

/// <summary>A stream to write a message into. Each thread keeps one, so that a message costs its own bytes and not the growing of a buffer.</summary>
internal static class WireStream
{
    private const int MaxKept = 256 * 1024;

    [ThreadStatic]
    private static MemoryStream? _kept;

    /// <summary>An empty stream for this thread alone, until <see cref="Give"/>. Inside each other they are different ones.</summary>
    public static MemoryStream Take()
    {
        MemoryStream stream = _kept ?? new MemoryStream(1024);
        _kept = null;
        stream.SetLength(0);
        return stream;
    }

    /// <summary>What was written.</summary>
    public static byte[] Give(MemoryStream stream)
    {
        byte[] bytes = stream.ToArray();
        if (stream.Capacity <= MaxKept) _kept = stream;
        return bytes;
    }
}
