using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Hosting;

/// <param name="WaitingStreams">Openings that wait for a session with an exit.</param>
internal sealed record ClientView(IReadOnlyList<GroupView> Groups, int OpenStreams, int WaitingStreams);

internal sealed record GroupView(int Number, ClientGroupState State, int Switches, IReadOnlyList<PathView> Paths, QuicStats? Quic, bool Tunnel, bool Leased);

/// <param name="HopRtt">Last round trip to each hop; zero where unknown.</param>
/// <param name="Crowded">A spare that shares a relay before the last with the path in use: that relay's death would end both.</param>
internal sealed record PathView(bool Active, bool Attached, IReadOnlyList<string> Hops, TimeSpan[] HopRtt, long PacketsUp, long PacketsDown, TimeSpan Left, bool Crowded);
