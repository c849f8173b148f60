using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Oxen.Router.Transport;

/// <summary>
/// Where a hidden service listens: a port of the service whose key lies in a file. A server binds to it as it binds to an IP
/// address; once bound, it says the service's address.
/// </summary>
public sealed class OnionEndPoint : EndPoint, IEquatable<OnionEndPoint>
{
    /// <summary>The port that `http://` means.</summary>
    public const int DefaultPort = 80;

    /// <param name="keyFile">The file of the service's key. Whoever has it is the service. It is made, for its owner alone, where it is missing.</param>
    /// <param name="port">The port that clients ask for, 1 to 65535. It is none of this machine's ports.</param>
    /// <exception cref="ArgumentException">No file is named.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such port.</exception>
    public OnionEndPoint(string keyFile, int port = DefaultPort)
        : this(keyFile, port, null)
    {
    }

    internal OnionEndPoint(string keyFile, int port, string? host)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(keyFile);
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        KeyFile = Path.GetFullPath(keyFile);
        Port = port;
        Host = host;
    }

    /// <summary>The absolute path of the key's file.</summary>
    public string KeyFile { get; }

    /// <summary>The port that clients ask for.</summary>
    public int Port { get; }

    /// <summary>The service's address, 52 characters and `.loki`; null until a server is bound to it.</summary>
    public string? Host { get; }

    /// <summary>None: an onion path has no address family.</summary>
    public override AddressFamily AddressFamily => AddressFamily.Unspecified;

    /// <summary>What stands between `http://` and the path of a URL; before it is bound, the key's file and the port.</summary>
    public override string ToString() => Host is null ? string.Create(CultureInfo.InvariantCulture, $"{KeyFile}:{Port}")
        : Port == DefaultPort ? Host
        : string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");

    /// <summary>The same port of the same key's file.</summary>
    public bool Equals(OnionEndPoint? other) => other is not null && Port == other.Port && KeyFile == other.KeyFile;

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as OnionEndPoint);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(KeyFile, Port);
}
