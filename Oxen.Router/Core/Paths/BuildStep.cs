using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// What a relay knows of one build between the request and its reply. Comes from <see cref="BuildProcessor"/>, which takes
/// it back, wiped, at <see cref="Dispose"/>: keep nothing of it after that.
/// </summary>
internal sealed class BuildStep : IDisposable
{
    private readonly BuildProcessor _owner;
    private readonly byte[] _replyKeys = GC.AllocateArray<byte>(BuildKeys.ReplyKeysBytes, pinned: true);
    private readonly byte[] _share = new byte[BuildFormat.ShareBytes];

    internal BuildStep(BuildProcessor owner) => _owner = owner;

    /// <summary>Where a transit build goes; none for the terminal hop.</summary>
    public RouterId NextHop { get; internal set; }

    public BuildRole Role { get; internal set; }

    public SizeClass Class { get; internal set; }

    public byte Suite { get; internal set; }

    /// <summary>Why it was refused; Accepted when it was not.</summary>
    public BuildStatus RefusalStatus { get; internal set; }

    /// <summary>The relay's epoch when the build came in: the answer names it.</summary>
    public uint RelayEpoch { get; internal set; }

    /// <summary>Keys of this hop, for the path tables. Of no use in a refused step.</summary>
    public PathHopSecrets Secrets { get; } = new();

    internal Span<byte> ReplyKeys => _replyKeys;

    internal Span<byte> Share => _share;

    internal bool IsLive { get; set; }

    internal bool IsAnswered { get; set; }

    public void Dispose()
    {
        if (!IsLive) return;
        IsLive = false;
        CryptographicOperations.ZeroMemory(_replyKeys);
        Secrets.Dispose();
        NextHop = default;
        _owner.TakeBack(this);
    }
}
