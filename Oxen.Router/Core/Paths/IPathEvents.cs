namespace Oxen.Router.Core.Paths;

/// <summary>What the paths tell the session thread: queued by the host, in order.</summary>
internal interface IPathEvents
{
    void OnPathReady(PathReady ready);

    void OnPathGone(PathEnd end, PathGone gone);
}
